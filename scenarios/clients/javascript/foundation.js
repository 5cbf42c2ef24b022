// Account, IAM, VPC, IPAM, Secret Manager, Key Manager, Cockpit.

import { randomBytes } from "node:crypto";
import { Accountv3, Cockpitv1, Iamv1alpha1, Ipamv1, KeyManagerv1alpha1, Secretv1beta1, Vpcv2 } from "@scaleway/sdk";
import { demand, only } from "./life.js";

export function account({ client, organizationId }) {
  const api = new Accountv3.ProjectAPI(client);
  return [
    {
      kind: "account.project",
      create: (name) => api.createProject({ name, description: "created" }),
      read: (it) => api.getProject({ projectId: it.id }),
      list: () => api.listProjects({ organizationId }).all(),
      change: (it) => api.updateProject({ projectId: it.id, description: "changed" }),
      remove: (it) => api.deleteProject({ projectId: it.id }),
      shows: (it) => [it.description, it.organizationId],
      given: ["created", organizationId],
      changed: ["changed", organizationId],
    },
  ];
}

export function iam({ client, projectId, organizationId }) {
  const api = new Iamv1alpha1.API(client);
  const key = (application) => ({
    kind: "iam.api_key",
    create: () => api.createAPIKey({ applicationId: application.id, description: "created" }),
    read: (it) => api.getAPIKey({ accessKey: it.accessKey }),
    list: () => api.listAPIKeys({ applicationId: application.id, organizationId }).all(),
    change: (it) => api.updateAPIKey({ accessKey: it.accessKey, description: "changed" }),
    remove: (it) => api.deleteAPIKey({ accessKey: it.accessKey }),
    key: (it) => it.accessKey,
    shows: (it) => [it.description, it.applicationId],
    given: ["created", application.id],
    changed: ["changed", application.id],
    also: (it) => demand("the secret of a key that is read again", it.secretKey ?? null, null),
  });
  const group = (application) => ({
    kind: "iam.group",
    create: (name) => api.createGroup({ name, description: "created" }),
    read: (it) => api.getGroup({ groupId: it.id }),
    list: () => api.listGroups({ organizationId }).all(),
    change: (it) => api.addGroupMember({ groupId: it.id, applicationId: application.id }),
    remove: (it) => api.deleteGroup({ groupId: it.id }),
    shows: (it) => it.applicationIds,
    given: [],
    changed: [application.id],
  });
  const policy = (application) => ({
    kind: "iam.policy",
    create: (name) =>
      api.createPolicy({
        name,
        description: "created",
        applicationId: application.id,
        rules: [{ permissionSetNames: ["VPCReadOnly"], projectIds: [projectId], condition: "" }],
      }),
    read: (it) => api.getPolicy({ policyId: it.id }),
    list: () => api.listPolicies({ applicationIds: [application.id], organizationId }).all(),
    change: (it) => api.updatePolicy({ policyId: it.id, description: "changed" }),
    remove: (it) => api.deletePolicy({ policyId: it.id }),
    shows: (it) => [it.description, it.applicationId, it.nbRules],
    given: ["created", application.id, 1],
    changed: ["changed", application.id, 1],
    also: async (it) => {
      const rules = await api.listRules({ policyId: it.id }).all();
      demand("its rules", rules.map((one) => [one.permissionSetNames, one.projectIds]), [[["VPCReadOnly"], [projectId]]]);
    },
  });
  return [
    {
      kind: "iam.application",
      create: (name) => api.createApplication({ name, description: "created", tags: ["one"] }),
      read: (it) => api.getApplication({ applicationId: it.id }),
      list: () => api.listApplications({ organizationId }).all(),
      change: (it) => api.updateApplication({ applicationId: it.id, description: "changed", tags: [] }),
      remove: (it) => api.deleteApplication({ applicationId: it.id }),
      shows: (it) => [it.description, it.tags],
      given: ["created", ["one"]],
      changed: ["changed", []],
      within: (it) => [key(it), group(it), policy(it)],
    },
    {
      kind: "iam.ssh_key",
      create: (name) => api.createSSHKey({ name, publicKey: publicKey() }),
      read: (it) => api.getSSHKey({ sshKeyId: it.id }),
      list: () => api.listSSHKeys({ projectId, organizationId }).all(),
      change: (it) => api.updateSSHKey({ sshKeyId: it.id, disabled: true }),
      remove: (it) => api.deleteSSHKey({ sshKeyId: it.id }),
      shows: (it) => [it.disabled, it.projectId],
      given: [false, projectId],
      changed: [true, projectId],
    },
  ];
}

export function vpc({ client, projectId }) {
  const api = new Vpcv2.API(client);
  const ipam = new Ipamv1.API(client);
  const address = (network) => ({
    kind: "ipam.ip",
    create: () =>
      ipam.bookIP({ source: { privateNetworkId: network.id }, isIpv6: false, address: "172.16.100.77", tags: ["created"] }),
    read: (it) => ipam.getIP({ ipId: it.id }),
    list: () => ipam.listIPs({ privateNetworkId: network.id }).all(),
    change: (it) => ipam.updateIP({ ipId: it.id, tags: ["changed"] }),
    remove: (it) => ipam.releaseIP({ ipId: it.id }),
    shows: (it) => [it.tags, it.address],
    given: [["created"], "172.16.100.77/22"],
    changed: [["changed"], "172.16.100.77/22"],
  });
  const network = (inside) => ({
    kind: "vpc.private_network",
    create: (name) =>
      api.createPrivateNetwork({
        name,
        vpcId: inside.id,
        tags: ["created"],
        subnets: ["172.16.100.0/22"],
        defaultRoutePropagationEnabled: false,
      }),
    read: (it) => api.getPrivateNetwork({ privateNetworkId: it.id }),
    list: () => api.listPrivateNetworks({ vpcId: inside.id }).all(),
    change: (it) => api.updatePrivateNetwork({ privateNetworkId: it.id, tags: ["changed"] }),
    remove: (it) => api.deletePrivateNetwork({ privateNetworkId: it.id }),
    shows: (it) => [it.tags, it.vpcId, it.subnets[0].subnet],
    given: [["created"], inside.id, "172.16.100.0/22"],
    changed: [["changed"], inside.id, "172.16.100.0/22"],
    within: (it) => [address(it)],
  });
  return [
    {
      kind: "vpc.vpc",
      create: (name) => api.createVPC({ name, tags: ["created"], enableRouting: true, enableTransitivity: false }),
      read: (it) => api.getVPC({ vpcId: it.id }),
      list: () => api.listVPCs({ projectId }).all(),
      change: (it) => api.updateVPC({ vpcId: it.id, tags: ["changed"] }),
      remove: (it) => api.deleteVPC({ vpcId: it.id }),
      shows: (it) => [it.tags, it.routingEnabled, it.isDefault, it.projectId],
      given: [["created"], true, false, projectId],
      changed: [["changed"], true, false, projectId],
      within: (it) => [network(it)],
    },
  ];
}

const CONTENT = Buffer.from("what nobody else may know").toString("base64");
const scheduled = (it) => it.deletionRequestedAt instanceof Date;

export function secretManager({ client, projectId }) {
  const api = new Secretv1beta1.API(client);
  const version = (inside) => ({
    kind: "secret.version",
    create: () => api.createSecretVersion({ secretId: inside.id, data: CONTENT, description: "created" }),
    read: (it) => api.getSecretVersion({ secretId: inside.id, revision: `${it.revision}` }),
    list: async () => (await api.listSecretVersions({ secretId: inside.id }).all()).filter((it) => !scheduled(it)),
    change: (it) =>
      api.updateSecretVersion({ secretId: inside.id, revision: `${it.revision}`, description: "changed" }),
    remove: (it) => api.deleteSecretVersion({ secretId: inside.id, revision: `${it.revision}` }),
    key: (it) => it.revision,
    shows: (it) => [it.description, it.revision, it.latest],
    given: ["created", 1, true],
    changed: ["changed", 1, true],
    kept: scheduled,
    also: async (it) => {
      const told = await api.accessSecretVersion({ secretId: inside.id, revision: `${it.revision}` });
      demand("whether the content is what was put in", told.data === CONTENT, true);
    },
  });
  return [
    {
      kind: "secret.secret",
      create: (name) =>
        api.createSecret({ name, description: "created", tags: ["one"], path: "/clients", protected: false }),
      read: (it) => api.getSecret({ secretId: it.id }),
      list: () => api.listSecrets({ projectId, scheduledForDeletion: false }).all(),
      change: (it) => api.updateSecret({ secretId: it.id, description: "changed" }),
      remove: (it) => api.deleteSecret({ secretId: it.id }),
      shows: (it) => [it.description, it.tags, it.path],
      given: ["created", ["one"], "/clients"],
      changed: ["changed", ["one"], "/clients"],
      within: (it) => [version(it)],
      kept: scheduled,
    },
  ];
}

export function keyManager({ client, projectId }) {
  const api = new KeyManagerv1alpha1.API(client);
  return [
    {
      kind: "key_manager.key",
      create: (name) =>
        api.createKey({
          name,
          description: "created",
          tags: ["one"],
          usage: { symmetricEncryption: "aes_256_gcm" },
          unprotected: true,
        }),
      read: (it) => api.getKey({ keyId: it.id }),
      list: () => api.listKeys({ projectId, scheduledForDeletion: false }).all(),
      change: (it) => api.updateKey({ keyId: it.id, description: "changed" }),
      remove: (it) => api.deleteKey({ keyId: it.id }),
      shows: (it) => [it.description, it.tags, it.usage.symmetricEncryption],
      given: ["created", ["one"], "aes_256_gcm"],
      changed: ["changed", ["one"], "aes_256_gcm"],
      kept: scheduled,
      also: async (it) => {
        const { ciphertext } = await api.encrypt({ keyId: it.id, plaintext: CONTENT });
        const { plaintext } = await api.decrypt({ keyId: it.id, ciphertext });
        demand("whether the text is what was encrypted", plaintext === CONTENT, true);
      },
    },
  ];
}

export function cockpit({ client, projectId }) {
  const api = new Cockpitv1.RegionalAPI(client);
  const email = { to: "on-call@example.com" };
  const points = () => api.listContactPoints({ projectId }).all();
  return [
    {
      kind: "cockpit.data_source",
      create: (name) => api.createDataSource({ name, type: "metrics", retentionDays: 31 }),
      read: (it) => api.getDataSource({ dataSourceId: it.id }),
      list: () => api.listDataSources({ projectId, origin: "custom", types: ["metrics"] }).all(),
      change: (it) => api.updateDataSource({ dataSourceId: it.id, retentionDays: 60 }),
      remove: (it) => api.deleteDataSource({ dataSourceId: it.id }),
      shows: (it) => [it.type, it.origin, it.retentionDays],
      given: ["metrics", "custom", 31],
      changed: ["metrics", "custom", 60],
    },
    {
      kind: "cockpit.token",
      create: (name) => api.createToken({ name, tokenScopes: ["write_only_metrics"] }),
      read: (it) => api.getToken({ tokenId: it.id }),
      list: () => api.listTokens({ projectId, tokenScopes: [] }).all(),
      remove: (it) => api.deleteToken({ tokenId: it.id }),
      shows: (it) => [it.scopes, it.projectId],
      given: [["write_only_metrics"], projectId],
    },
    {
      kind: "cockpit.contact_point",
      create: async () => {
        const manager = await api.enableAlertManager({});
        demand("whether the alert manager is enabled", manager.alertManagerEnabled, true);
        return api.createContactPoint({ email, sendResolvedNotifications: false });
      },
      read: async (it) => only(await points(), (one) => one.email?.to === it.email.to),
      list: points,
      change: () => api.updateContactPoint({ email, sendResolvedNotifications: true }),
      remove: async () => {
        await api.deleteContactPoint({ email });
        await api.disableAlertManager({});
      },
      key: (it) => it.email?.to,
      shows: (it) => it.sendResolvedNotifications,
      given: false,
      changed: true,
    },
  ];
}

/** The public half of an ed25519 key whose private half nobody has. */
function publicKey() {
  const parts = [Buffer.from("ssh-ed25519"), randomBytes(32)];
  const length = (part) => Buffer.from([0, 0, 0, part.length]);
  return `ssh-ed25519 ${Buffer.concat(parts.flatMap((part) => [length(part), part])).toString("base64")}`;
}
