/** The programs that are explored: with schedule points where that is asked for, and what stands where. */
import { ArgumentError } from '../../base/errors.ts';
import { hex } from '../../base/text.ts';
import { AsmCode } from '../../guest/asm/code.ts';
import { disassemble } from '../../guest/asm/disassemble.ts';
import type { GuestMode } from '../../guest/code.ts';
import { STEP_PORT } from '../../guest/step-port.ts';
import { codeFacts, type StepFacts } from '../../schedule/vm/code-facts.ts';
import type { MachineVcpu } from '../machine/vcpu.ts';
import type { ExploredProgram, Steps } from './options.ts';

/** `out STEP_PORT, al`. */
const POINT = 2;

/** A vCPU with its program. */
export class LoadedSteps {
  readonly one: MachineVcpu;
  /** By address, of a program of `asm`. */
  readonly #texts = new Map<number, string>();
  readonly #mode: GuestMode;

  /** Loads it. Throws what `vcpu.program()` throws; ArgumentError. */
  constructor(one: MachineVcpu, program: ExploredProgram, steps: Steps) {
    this.one = one;
    const { code, ...options } = 'code' in program ? program : { code: program };
    const given = steps === 'instruction' ? stepped(code) : code;
    one.program(given, options);
    this.#mode = one.loaded!.mode;
    if (!(given instanceof AsmCode)) return;
    const placed = given.at(this.#mode === 'real16' ? 0 : one.entry);
    for (const { address, bytes, text } of placed.instructions())
      if (!isPoint(bytes)) this.#texts.set(address, withoutLabel(text));
  }

  /** The vector whose handler of its own begins here. */
  handlerAt(rip: number): number | undefined {
    for (const [vector, at] of this.one.loaded!.own) if (at === rip) return vector;
    return undefined;
  }

  /** What is known of its steps. */
  facts(free: number, memoryEnd: number): ReadonlyMap<number, StepFacts> {
    const { bytes, mode } = this.one.loaded!;
    return codeFacts({ mode, bytes, origin: this.one.entry, free, memoryEnd });
  }

  /** The instruction that the step which begins here takes first. */
  textAt(rip: number): string {
    const { bytes } = this.one.loaded!;
    const at = this.#texts.has(rip) ? rip : rip + POINT;
    const known = this.#texts.get(at);
    if (known !== undefined) return known;
    const begin = this.#mode === 'real16' ? 0 : this.one.entry;
    const from = isPoint(bytes.subarray(rip - begin, rip - begin + POINT)) ? at : rip;
    if (from < begin || from >= begin + bytes.length) return `at ${hex(from)}`;
    return disassemble(bytes.subarray(from - begin), { mode: this.#mode, origin: from, count: 1 })[0]!.text;
  }
}

const isPoint = (bytes: Uint8Array) => bytes.length === POINT && bytes[0] === 0xe6 && bytes[1] === STEP_PORT;

const withoutLabel = (text: string) => text.replace(/^[.\w$]+:\s*/, '').replace(/\s*;.*$/, '');

function stepped(code: unknown): AsmCode {
  if (code instanceof AsmCode) return code.stepped();
  throw new ArgumentError(
    'programs',
    'A step of one instruction each is for code of asm',
    "Mark the steps with step(), or by out 0xec, al, and say so: { steps: 'marked' }.",
  );
}
