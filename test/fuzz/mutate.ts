/** State as a vCPU or a VM gives it, changed at random before it goes back. */
import { refused } from './values.ts';
import type { World } from './world.ts';

/** What `read` gives, or `{}` where it throws (a closed vCPU): then what it is for throws as well. */
export function stateOf<T>(world: World, read: () => T): T {
  try {
    return mutate(world, read());
  } catch {
    return {} as T;
  }
}

/** In the lab any field gets any value; on a host, in a wild call, one gets a value that it refuses, else nothing changes. */
function mutate<T>(world: World, state: T): T {
  const { random } = world;
  const times = world.full ? random.int(0, 3) : world.wild ? random.int(0, 1) : 0;
  for (let i = 0; i < times; i++) change(world, state);
  return state;
}

function change(world: World, state: unknown): void {
  const { random } = world;
  if (typeof state !== 'object' || state === null) return;
  const keys = Object.keys(state);
  if (keys.length === 0 || ArrayBuffer.isView(state)) {
    if (world.full && state instanceof Uint8Array && state.length > 0)
      state[random.int(0, state.length - 1)] = random.int(0, 255);
    return;
  }
  const members = state as Record<string, unknown>;
  const key = random.pick(keys);
  const member = members[key];
  if (typeof member === 'object' && member !== null && random.chance(0.9)) change(world, member);
  else members[key] = world.full ? world.or(() => similar(world, member)) : refused(random);
}

/** Another value of the same type. */
function similar(world: World, value: unknown): unknown {
  const { random } = world;
  if (typeof value === 'bigint') return random.chance(0.5) ? value ^ (1n << BigInt(random.int(0, 63))) : random.u64();
  if (typeof value === 'number') return random.pick([0, 1, random.int(0, 15), random.int(0, 255), random.u32()]);
  return value;
}
