// RDB, Serverless SQL, Container Registry, Serverless Containers.

import { randomBytes } from "node:crypto";
import { Containerv1beta1, Rdbv1, Registryv1, ServerlessSqldbv1alpha1 } from "@scaleway/sdk";
import { Errors } from "@scaleway/sdk-client";
import { demand, only } from "./life.js";

/** A password with every sort of character that Scaleway asks for. */
const password = () => `aA1!${randomBytes(24).toString("base64url")}`;

export function rdb({ client, projectId }) {
  const api = new Rdbv1.API(client);
  const database = (inside) => ({
    kind: "rdb.database",
    create: () => api.createDatabase({ instanceId: inside.id, name: "ledger" }),
    read: async (it) => only(await api.listDatabases({ instanceId: inside.id }).all(), (one) => one.name === it.name),
    list: () => api.listDatabases({ instanceId: inside.id }).all(),
    remove: (it) => api.deleteDatabase({ instanceId: inside.id, name: it.name }),
    key: (it) => it.name,
    shows: (it) => [it.name, it.managed],
    given: ["ledger", true],
    also: async (it) => {
      const whose = { instanceId: inside.id, databaseName: it.name, userName: "owner" };
      await api.setPrivilege({ ...whose, permission: "readonly" });
      const told = await api.listPrivileges(whose).all();
      demand("the owner's permission", told.map((one) => one.permission), ["readonly"]);
    },
  });
  const user = (inside) => ({
    kind: "rdb.user",
    create: () => api.createUser({ instanceId: inside.id, name: "reader", password: password(), isAdmin: false }),
    read: async (it) => only(await api.listUsers({ instanceId: inside.id }).all(), (one) => one.name === it.name),
    list: () => api.listUsers({ instanceId: inside.id }).all(),
    change: (it) => api.updateUser({ instanceId: inside.id, name: it.name, isAdmin: true }),
    remove: (it) => api.deleteUser({ instanceId: inside.id, name: it.name }),
    key: (it) => it.name,
    shows: (it) => it.isAdmin,
    given: false,
    changed: true,
  });
  return [
    {
      kind: "rdb.instance",
      create: (name) =>
        api.createInstance({
          name,
          engine: "PostgreSQL-16",
          nodeType: "DB-DEV-S",
          userName: "owner",
          password: password(),
          isHaCluster: false,
          disableBackup: true,
          backupSameRegion: false,
          volumeType: "sbs_5k",
          volumeSize: 10_000_000_000,
          tags: ["created"],
        }),
      read: (it) => api.getInstance({ instanceId: it.id }),
      list: () => api.listInstances({ projectId }).all(),
      change: (it) => api.updateInstance({ instanceId: it.id, tags: ["changed"] }),
      remove: (it) => api.deleteInstance({ instanceId: it.id }),
      shows: (it) => [it.tags, it.engine, it.nodeType.toLowerCase(), it.volume.size],
      given: [["created"], "PostgreSQL-16", "db-dev-s", 10_000_000_000],
      changed: [["changed"], "PostgreSQL-16", "db-dev-s", 10_000_000_000],
      within: (it) => [database(it), user(it)],
    },
  ];
}

export function serverlessSql({ client, projectId }) {
  const api = new ServerlessSqldbv1alpha1.API(client);
  return [
    {
      kind: "sdb.database",
      create: (name) => api.createDatabase({ name, cpuMin: 0, cpuMax: 4 }),
      read: (it) => api.getDatabase({ databaseId: it.id }),
      list: () => api.listDatabases({ projectId }).all(),
      change: (it) => api.updateDatabase({ databaseId: it.id, cpuMax: 8 }),
      remove: (it) => api.deleteDatabase({ databaseId: it.id }),
      shows: (it) => [it.cpuMin, it.cpuMax],
      given: [0, 4],
      changed: [0, 8],
      // Scaleway says nothing of a database that is not there, not even that it is not.
      gone: (error) => error instanceof Errors.ScalewayError && error.status === 403,
    },
  ];
}

export function registry({ client, projectId }) {
  const api = new Registryv1.API(client);
  return [
    {
      kind: "registry.namespace",
      create: (name) => api.createNamespace({ name, description: "created", isPublic: false }),
      read: (it) => api.getNamespace({ namespaceId: it.id }),
      list: () => api.listNamespaces({ projectId }).all(),
      change: (it) => api.updateNamespace({ namespaceId: it.id, description: "changed", isPublic: true }),
      remove: (it) => api.deleteNamespace({ namespaceId: it.id }),
      shows: (it) => [it.description, it.isPublic],
      given: ["created", false],
      changed: ["changed", true],
    },
  ];
}

/** What v1beta1 says of what is not there: a status and words, no type that the SDK has an error for. */
const notFound = (error) => error instanceof Errors.ScalewayError && error.status === 404;

export function containers({ client, projectId }) {
  const api = new Containerv1beta1.API(client);
  const cron = (inside) => ({
    kind: "containers.cron",
    create: (name) => api.createCron({ containerId: inside.id, name, schedule: "5 4 * * *", args: { when: "created" } }),
    read: (it) => api.getCron({ cronId: it.id }),
    list: () => api.listCrons({ containerId: inside.id }).all(),
    change: (it) => api.updateCron({ cronId: it.id, schedule: "0 1 * * *", args: { when: "changed" } }),
    remove: (it) => api.deleteCron({ cronId: it.id }),
    shows: (it) => [it.containerId, it.schedule, it.args],
    given: [inside.id, "5 4 * * *", { when: "created" }],
    changed: [inside.id, "0 1 * * *", { when: "changed" }],
    gone: notFound,
  });
  const hostname = `${randomBytes(4).toString("hex")}.clients.example.com`;
  const domain = (inside) => ({
    kind: "containers.domain",
    create: () => api.createDomain({ containerId: inside.id, hostname }),
    read: (it) => api.getDomain({ domainId: it.id }),
    list: () => api.listDomains({ containerId: inside.id }).all(),
    remove: (it) => api.deleteDomain({ domainId: it.id }),
    shows: (it) => [it.containerId, it.hostname],
    given: [inside.id, hostname],
    gone: notFound,
  });
  const queue = { queue: "orders", mnqProjectId: projectId, mnqRegion: "fr-par" };
  const trigger = (inside) => ({
    kind: "containers.trigger",
    create: (name) => api.createTrigger({ containerId: inside.id, name, description: "created", scwSqsConfig: queue }),
    read: (it) => api.getTrigger({ triggerId: it.id }),
    list: () => api.listTriggers({ containerId: inside.id }).all(),
    change: (it) => api.updateTrigger({ triggerId: it.id, description: "changed" }),
    remove: (it) => api.deleteTrigger({ triggerId: it.id }),
    shows: (it) => [it.containerId, it.description, it.inputType, it.scwSqsConfig.queue],
    given: [inside.id, "created", "scw_sqs", "orders"],
    changed: [inside.id, "changed", "scw_sqs", "orders"],
    gone: notFound,
  });
  const token = (inside) => ({
    kind: "containers.token",
    create: () => api.createToken({ containerId: inside.id, description: "created" }),
    read: (it) => api.getToken({ tokenId: it.id }),
    list: () => api.listTokens({ containerId: inside.id }).all(),
    remove: (it) => api.deleteToken({ tokenId: it.id }),
    shows: (it) => it.containerId,
    given: inside.id,
    gone: notFound,
  });
  const container = (inside) => ({
    kind: "containers.container",
    create: (name) =>
      api.createContainer({
        namespaceId: inside.id,
        name,
        registryImage: "nginx:1.29",
        port: 80,
        maxScale: 2,
        memoryLimit: 256,
        httpOption: "redirected",
        secretEnvironmentVariables: [{ key: "KEY", value: "nobody else knows" }],
      }),
    read: (it) => api.getContainer({ containerId: it.id }),
    list: () => api.listContainers({ namespaceId: inside.id }).all(),
    change: (it) => api.updateContainer({ containerId: it.id, maxScale: 3, memoryLimit: 512 }),
    remove: (it) => api.deleteContainer({ containerId: it.id }),
    shows: (it) => [
      it.namespaceId,
      it.registryImage,
      it.port,
      it.maxScale,
      it.memoryLimit,
      it.httpOption,
      it.secretEnvironmentVariables.map((one) => [one.key, one.hashedValue.startsWith("$argon2id$")]),
    ],
    given: [inside.id, "nginx:1.29", 80, 2, 256, "redirected", [["KEY", true]]],
    changed: [inside.id, "nginx:1.29", 80, 3, 512, "redirected", [["KEY", true]]],
    also: async (it) => {
      await api.deployContainer({ containerId: it.id });
      const deployed = await api.waitForContainer({ containerId: it.id });
      demand("its state after a deployment", deployed.status, "ready");
    },
    within: (it) => [cron(it), domain(it), trigger(it), token(it)],
    gone: notFound,
  });
  return [
    {
      kind: "containers.namespace",
      create: (name) => api.createNamespace({ name, description: "created", environmentVariables: { WHEN: "created" } }),
      read: (it) => api.getNamespace({ namespaceId: it.id }),
      list: () => api.listNamespaces({ projectId }).all(),
      change: (it) => api.updateNamespace({ namespaceId: it.id, environmentVariables: { WHEN: "changed" } }),
      remove: (it) => api.deleteNamespace({ namespaceId: it.id }),
      shows: (it) => it.environmentVariables,
      given: { WHEN: "created" },
      changed: { WHEN: "changed" },
      within: (it) => [container(it)],
      gone: notFound,
    },
  ];
}
