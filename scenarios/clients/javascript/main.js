// Leads resources of every product through their lives, with Scaleway's own JavaScript SDK.
//
// It knows the cloud by the environment alone and makes everything in a project of its own, which it deletes at
// the end: Scaleway refuses to while anything is left in it.

import { randomBytes } from "node:crypto";
import { Accountv3, createClient } from "@scaleway/sdk";
import { containers, rdb, registry, serverlessSql } from "./applications.js";
import { account, cockpit, iam, keyManager, secretManager, vpc } from "./foundation.js";
import { live } from "./life.js";

const PRODUCTS = {
  account,
  iam,
  vpc, // and ipam, within a private network
  rdb,
  "serverless-sql": serverlessSql,
  registry,
  containers,
  "secret-manager": secretManager,
  "key-manager": keyManager,
  cockpit,
};

const NEEDED = ["SCW_ACCESS_KEY", "SCW_SECRET_KEY", "SCW_DEFAULT_ORGANIZATION_ID"];

/** A client of the cloud that the environment names; the SDK leaves reading it to its user. */
function client(projectId) {
  const { env } = process;
  return createClient({
    accessKey: env.SCW_ACCESS_KEY,
    secretKey: env.SCW_SECRET_KEY,
    defaultOrganizationId: env.SCW_DEFAULT_ORGANIZATION_ID,
    defaultProjectId: projectId ?? env.SCW_DEFAULT_PROJECT_ID,
    defaultRegion: env.SCW_DEFAULT_REGION ?? "fr-par",
    defaultZone: env.SCW_DEFAULT_ZONE ?? "fr-par-1",
    ...(env.SCW_API_URL && { apiURL: env.SCW_API_URL }),
  });
}

async function main(asked) {
  const missing = NEEDED.filter((name) => !process.env[name]);
  if (missing.length > 0) {
    console.log(`${missing.join(", ")} is not set: nothing says whose cloud is meant`);
    console.log("next: export them from an API key, or run this in `stackproof cloud exec -- bash`");
    return 2;
  }
  const unknown = asked.filter((name) => !(name in PRODUCTS));
  if (unknown.length > 0) {
    console.log(`no product is called ${unknown.join(", ")}`);
    console.log(`next: name some of ${Object.keys(PRODUCTS).join(", ")}`);
    return 2;
  }
  const name = `clients-js-${randomBytes(4).toString("hex")}`;
  let [passed, failed] = [0, 0];
  const told = async (what, act) => {
    const begun = performance.now();
    try {
      await act();
      passed += 1;
      console.log(`ok   ${what} (${((performance.now() - begun) / 1000).toFixed(2)} s)`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL ${what}\n${error.stack}`);
      // What an answer said that the SDK has no error of its own for; never a request, so never a secret.
      if (error.body) console.log(JSON.stringify(error.body));
    }
  };
  const play = (life) => told(life.kind, () => live(life, `${name}-${passed + failed}`, play));

  const projects = new Accountv3.ProjectAPI(client());
  const project = await projects.createProject({ name, description: "for the time of one test" });
  const organizationId = process.env.SCW_DEFAULT_ORGANIZATION_ID;
  const place = { client: client(project.id), projectId: project.id, organizationId };
  for (const [product, lives] of Object.entries(PRODUCTS)) {
    if (asked.length > 0 && !asked.includes(product)) continue;
    for (const life of lives(place)) await play(life);
  }
  await told("nothing is left in the project", () => projects.deleteProject({ projectId: project.id }));
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
