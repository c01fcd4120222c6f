/** Runs random guest code in the lab, and goes on behind a payload that ends the machine. */
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { disassemble } from '../../lib/index.ts';
import {
  LabError,
  LabInterruptedError,
  type LaneName,
  type Limits,
  nodeInside,
  runInLab,
} from '../../lib/lab/index.ts';
import { bundleModule } from '../../lib/runner/bundle/module.ts';
import type { Plan } from './plan.ts';
import '../support/own-session.ts';

/** Where the script lies in the lab. */
const INSIDE = '/run/guest-code.mjs';
/** In ms, without a payload or an outcome, of a machine that lives: far more than any deadline in it. */
const SILENCE = 180_000;
/** Of emulator CPU time, without the sign of life that a machine gives every second. */
const limits: Partial<Limits> = { silentCpuSeconds: 10 };

export interface LabPayloads {
  lane: LaneName;
  seed: number;
  count: number;
  from?: number;
  /** Further options of guest-code.ts. */
  args?: readonly string[];
  emulator?: string;
  onLine?: (line: string) => void;
}

/** A payload that ended the machine it ran in. */
export interface Finding {
  plan: Plan;
  /** What the lab says: a code of its errors, or HANG. */
  code: string;
  message: string;
}

export interface PayloadTotals {
  /** How often each outcome came. */
  outcomes: Map<string, number>;
  findings: Finding[];
  boots: number;
}

/**
 * Runs payloads `from` to `from + count - 1` of a seed.
 *
 * @throws LabError if a machine ends before its first payload
 */
export async function payloadsInLab(options: LabPayloads): Promise<PayloadTotals> {
  const { lane, seed, count, from = 0 } = options;
  const totals: PayloadTotals = { outcomes: new Map(), findings: [], boots: 0 };
  const script = await bundleModule(fileURLToPath(new URL('guest-code.ts', import.meta.url)), 'kvm-dsm');
  const end = from + count;
  let next = from;
  while (next < end) {
    const args = [
      '--seed',
      String(seed),
      '--from',
      String(next),
      '--count',
      String(end - next),
      ...(options.args ?? []),
    ];
    totals.boots += 1;
    const boot = await bootOnce(options, lane, script, args, totals);
    if (boot.pending) {
      totals.findings.push({ plan: boot.pending, ...describe(boot.error) });
      next = boot.pending.index + 1;
    } else if (boot.ended === undefined || (boot.error && boot.ended < next)) {
      throw boot.error ?? new Error(`the machine ran no payload: ${boot.said}`);
    } else {
      // Between two payloads: the one before has ended it.
      if (boot.error && boot.last) totals.findings.push({ plan: boot.last, ...describe(boot.error) });
      next = boot.ended + 1;
    }
  }
  return totals;
}

interface Boot {
  /** The payload that ran when the machine ended. */
  pending?: Plan | undefined;
  last?: Plan | undefined;
  ended?: number | undefined;
  error?: Error | undefined;
  said: string;
}

async function bootOnce(
  options: LabPayloads,
  lane: LaneName,
  script: string,
  args: readonly string[],
  totals: PayloadTotals,
): Promise<Boot> {
  const boot: Boot = { said: '' };
  const abort = new AbortController();
  let watch: NodeJS.Timeout | undefined;
  const stdout = new LineReader((line) => {
    clearTimeout(watch);
    watch = setTimeout(() => abort.abort(), SILENCE);
    options.onLine?.(line);
    const payload = /^payload \d+ seed \d+ (\{.*\})$/.exec(line);
    const outcome = /^outcome (\d+) (.*)$/.exec(line);
    if (payload) boot.pending = boot.last = JSON.parse(payload[1]!) as Plan;
    if (outcome) {
      boot.pending = undefined;
      boot.ended = Number(outcome[1]);
      totals.outcomes.set(outcome[2]!, (totals.outcomes.get(outcome[2]!) ?? 0) + 1);
    }
  });
  const stderr = new LineReader((line) => {
    boot.said = `${boot.said}${line}\n`.slice(-4000);
  });
  try {
    const { exitCode } = await runInLab({
      lane,
      program: [nodeInside, '--no-opt', INSIDE],
      argv: args,
      files: [{ path: INSIDE, data: script }],
      limits,
      stdout,
      stderr,
      signal: abort.signal,
      timeoutSeconds: 86_400,
      ...(options.emulator === undefined ? {} : { emulator: options.emulator }),
    });
    // 1: an outcome was untyped, which the totals tell.
    if (boot.pending) boot.error = new Error(`the process ended with ${exitCode}: ${boot.said}`);
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    if (error instanceof LabInterruptedError && !abort.signal.aborted) throw error;
    boot.error = error;
  } finally {
    clearTimeout(watch);
  }
  return boot;
}

function describe(error: Error | undefined): { code: string; message: string } {
  const message = (error?.message ?? '').split('\n', 1)[0]!;
  if (error instanceof LabInterruptedError) return { code: 'HANG', message: `no outcome for ${SILENCE / 1000} s` };
  return { code: error instanceof LabError ? error.code : 'PROCESS', message };
}

/** A fault of the emulator's: not of the kernel's, nor of the package's. */
export function isEmulators(lane: LaneName, { code }: Finding): boolean {
  return code === 'ERR_LAB_ABORT' || (lane === 'vmx' && code === 'ERR_LAB_FROZEN');
}

/** All that is needed to look at a finding. */
export function describeFinding(seed: number, { plan, code, message }: Finding): string {
  const programs = plan.programs.map(({ mode, code: hex, ...rest }, id) => {
    const text = disassemble(Uint8Array.from(Buffer.from(hex, 'hex')), { mode, origin: id * 0x1_0000 + 0x1000 });
    const lines = text.map((line) => `      ${line.address.toString(16).padStart(6)}  ${line.text}`);
    return `    vCPU ${id} ${mode} ${JSON.stringify(rest)} ${hex}\n${lines.join('\n')}`;
  });
  const { index, irqchip, apic } = plan;
  return `  seed ${seed} payload ${index} irqchip ${irqchip} apic ${apic}: ${code} ${message}\n${programs.join('\n')}`;
}

/** Hands on whole lines. */
class LineReader extends Writable {
  readonly #onLine: (line: string) => void;
  #rest = '';

  constructor(onLine: (line: string) => void) {
    super();
    this.#onLine = onLine;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const lines = (this.#rest + chunk.toString('latin1')).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) this.#onLine(line);
    done();
  }
}
