/**
 * Random calls with random arguments, in random order. Each has to end in a value or in an error of this package.
 *
 *     node --import tsx test/fuzz/api.ts --seed 7 --count 2000
 *     node dist/cli/main.js run test/fuzz/api.ts --on svm -- --seed 7 --count 2000
 *
 * `--step M` shows every call up to the M-th and ends there; `--log` shows them all; `--go-on` does not stop at a
 * finding. On a host random state and random code never reach a vCPU that runs: in the lab they do.
 */
import { readdirSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { KvmDsmError } from 'kvm-dsm';
import { Limits, noLimits } from '../support/limits.ts';
import { kitCalls } from './calls-kit.ts';
import { codecCalls, objectCalls } from './calls-plain.ts';
import { machineCalls, OwnError, threadCalls } from './calls-thread.ts';
import { vcpuCalls } from './calls-vcpu.ts';
import { kvmCalls, type Maker, vmCalls } from './calls-vm.ts';
import { Random } from './random.ts';
import { type Call, World } from './world.ts';

/** A call that takes longer hangs. */
const CALL_DEADLINE = 20_000;

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string' },
    count: { type: 'string', default: '1000' },
    step: { type: 'string' },
    log: { type: 'boolean', default: false },
    'go-on': { type: 'boolean', default: false },
  },
});

const seed = options.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(options.seed);
const count = options.step === undefined ? Number(options.count) : Number(options.step) + 1;
const verbose = options.log || options.step !== undefined;
/** Set inside a lab machine. */
const full = process.env.KVM_DSM_LANE !== undefined;

const random = new Random(seed);
const world = new World(random, full);
/** How often each kind of call has its turn. */
const makers: readonly [readonly Maker[], number][] = [
  [kvmCalls, 4],
  [vmCalls, 26],
  [vcpuCalls, 28],
  [objectCalls, 10],
  [codecCalls, 10],
  [threadCalls, 14],
  [machineCalls, 8],
  [kitCalls, 12],
];

const totals = { value: 0, error: 0 };
const codes = new Map<string, number>();
const findings: string[] = [];
let step = -1;

/** The number that the next file of this process has at most. */
const nextFile = () => Math.max(...readdirSync('/proc/self/fd').map(Number)) + 1;

/** Calls are made at the process's limits as well. */
const limits = noLimits ? undefined : new Limits();

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

function finding(what: string): void {
  findings.push(what);
  say(`FINDING seed ${seed} ${what}`);
}

function ended(call: string, at: number, error: unknown): void {
  if (
    error instanceof KvmDsmError &&
    /^ERR_[A-Z0-9_]+$/.test(error.code) &&
    error.message !== '' &&
    error.advice !== ''
  ) {
    totals.error += 1;
    codes.set(error.code, (codes.get(error.code) ?? 0) + 1);
    if (verbose) say(`      ${error.code}: ${error.message.split('\n', 1)[0]}`);
  } else if (error instanceof OwnError) totals.value += 1;
  else finding(`step ${at} ${call}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
}

function chooseCall(): Call {
  const sum = makers.reduce((total, [, weight]) => total + weight, 0);
  for (;;) {
    let at = random.int(0, sum - 1);
    const list = makers.find(([, weight]) => {
      at -= weight;
      return at < 0;
    })![0];
    world.wild = random.chance(0.4);
    const call = random.pick(list)(world);
    if (call) return call;
  }
}

async function oneStep(): Promise<void> {
  if (world.all('guestVm').every(({ closed }) => closed) || random.chance(0.01)) world.guest();
  if (world.all('kvm').every(({ closed }) => closed)) world.kvm();
  const call = chooseCall();
  const limit = limits && random.chance(0.05) ? random.pick(['sigpending', 'nofile'] as const) : undefined;
  const text = `${limit ? `at the limit of ${limit}: ` : ''}${world.describe(call)}`;
  if (verbose) say(`${String(step).padStart(5)} ${text}`);
  let result: unknown;
  try {
    if (limit) limits!.set(limit, limit === 'nofile' ? nextFile() + random.int(0, 3) : 0);
    try {
      result = perform(call);
    } finally {
      if (limit) limits!.set(limit, null);
    }
    if (result instanceof Promise) result = await inTime(result);
  } catch (error) {
    ended(text, step, error);
    return;
  }
  totals.value += 1;
  if (result !== undefined && result !== null) call.keep?.(result);
}

function perform({ target, method, args }: Call): unknown {
  if (typeof target === 'function') return (target as (...args: readonly unknown[]) => unknown)(...args);
  const object = target as Record<string, unknown>;
  if (method.startsWith('get ')) return object[method.slice(4)];
  return (object[method] as (...args: readonly unknown[]) => unknown).apply(target, [...args]);
}

async function inTime(promise: Promise<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it did not end within ${CALL_DEADLINE} ms`)), CALL_DEADLINE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

process.on('unhandledRejection', (error) => {
  // A run that failed and that nobody waits for: what it failed with has to be typed as well.
  ended('a run that nobody waits for', step, error);
});
process.on('uncaughtException', (error) => {
  finding(`step ${step}: an exception that nobody could catch: ${error.stack}`);
});

say(`seed ${seed}: ${count} calls, ${full ? 'with random state and code' : 'on a host: no random state or code runs'}`);
const began = performance.now();
world.begin();
for (step = 0; step < count; step++) {
  await oneStep();
  if (findings.length > 0 && !options['go-on']) break;
}
world.close();
limits?.[Symbol.dispose]();
const ms = Math.round(performance.now() - began);
const most = [...codes].sort(([, a], [, b]) => b - a).map(([code, times]) => `${code} ${times}`);
say(
  `seed ${seed}: ${totals.value} values, ${totals.error} errors, ${findings.length} findings in ${ms} ms: ${most.join(', ')}`,
);
if (findings.length > 0) process.exitCode = 1;
if (findings.length > 0 && full) throw new Error(`${findings.length} findings with seed ${seed}`);
