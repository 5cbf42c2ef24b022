// The life of one kind of resource: made, read, listed, changed, deleted, and gone.
//
// A life is an object with
//   kind           what it is called in the output
//   create(name)   makes one of this name
//   read(it)       reads it
//   list()         all there are
//   change(it)     changes it; left out where the product cannot
//   remove(it)     deletes it
//   shows(it)      what is looked at: first it has to be `given`, after the change `changed`
//   key(it)        what identifies it; its `id` where left out
//   also(it)       what else this kind can do
//   within(it)     the lives that are only possible while this one lasts
//   kept(it)       where a deletion is only scheduled: whether what can still be read says so
//   gone(error)    whether the error says that it is not there any more

import { isDeepStrictEqual, inspect } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { Errors } from "@scaleway/sdk-client";

/** How many milliseconds a resource may take to become ready, or to go. */
const PATIENCE = 15 * 60 * 1000;

/** What there is instead of reading one by its identifier: it is in no list. */
export class Missing extends Error {}

/** The one of the list that is wanted. */
export function only(found, wanted) {
  const one = found.find(wanted);
  if (one === undefined) throw new Missing("it is in no list");
  return one;
}

/** Fails where something else is seen than was expected. */
export function demand(what, seen, expected) {
  if (!isDeepStrictEqual(seen, expected)) {
    throw new Error(`${what}: expected ${inspect(expected)}, seen ${inspect(seen)}`);
  }
}

/** Leads one resource through its life; `play` plays the lives within it. */
export async function live(life, name, play) {
  const made = await life.create(name);
  let removed = false;
  try {
    demand("what was created", life.shows(dated(made)), life.given);
    let seen = await settled(life, made);
    demand("what is read after creation", life.shows(seen), life.given);
    await inTheList(life, seen, life.given);
    if (life.change) {
      dated(await life.change(seen));
      seen = await settled(life, seen);
      demand("what is read after the change", life.shows(seen), life.changed);
      await inTheList(life, seen, life.changed);
    }
    await life.also?.(seen);
    for (const inner of life.within?.(seen) ?? []) await play(inner);
    await settled(life, seen);
    await life.remove(seen);
    removed = true;
    await gone(life, seen);
  } finally {
    if (!removed) await tidy(life, made);
  }
}

const keyOf = (life, one) => (life.key ?? ((it) => it.id))(one);

/** The resource as it is once no state of it ends in -ing any more. */
async function settled(life, one) {
  for await (const _ of patience("it does not become ready")) {
    const seen = dated(await life.read(one));
    demand("the identity of what is read", keyOf(life, seen), keyOf(life, one));
    const state = seen.status ?? "ready";
    if (state === "error") throw new Error(`it is in state error: ${inspect(seen)}`);
    if (!state.endsWith("ing")) return seen;
  }
}

async function inTheList(life, one, expected) {
  const same = (await life.list()).filter((listed) => keyOf(life, listed) === keyOf(life, one));
  demand("how often it is in the list", same.length, 1);
  demand("what the list shows", life.shows(dated(same[0])), expected);
}

async function gone(life, one) {
  if (life.kept) demand("whether its deletion is scheduled", life.kept(await life.read(one)), true);
  else await unreadable(life, one);
  const left = (await life.list()).filter((listed) => keyOf(life, listed) === keyOf(life, one));
  demand("what the list shows after deletion", left, []);
}

async function unreadable(life, one) {
  const notThere = life.gone ?? ((error) => error instanceof Errors.ResourceNotFoundError);
  for await (const _ of patience("it can still be read after deletion")) {
    try {
      demand("its state after deletion", (await life.read(one)).status, "deleting");
    } catch (error) {
      if (error instanceof Missing || notThere(error)) return;
      throw error;
    }
  }
}

/** The answer, all of whose dates are dates: the SDK makes one of any text. */
function dated(answer, path = "answer") {
  for (const [name, value] of Object.entries(answer ?? {})) {
    const place = `${path}.${name}`;
    const wrong = value instanceof Date ? Number.isNaN(value.getTime()) : name.endsWith("At") && value !== undefined;
    if (wrong) throw new Error(`${place} is no date: ${inspect(value)}`);
    if (typeof value === "object" && !(value instanceof Date)) dated(value, place);
  }
  return answer;
}

async function* patience(why) {
  const end = Date.now() + PATIENCE;
  for (let pause = 50; Date.now() < end; pause = Math.min(2 * pause, 5000)) {
    yield;
    await sleep(pause);
  }
  throw new Error(`${why} within ${PATIENCE / 1000} s`);
}

/** Leaves nothing behind that costs money; the failure that led here is what counts. */
async function tidy(life, one) {
  try {
    await life.remove(one);
  } catch (error) {
    console.log(`left behind: ${life.kind} ${keyOf(life, one)} (${error.name})`);
  }
}
