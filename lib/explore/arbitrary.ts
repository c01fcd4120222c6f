/**
 * Random steps, by fast-check: it has the seed, makes lists of them, and makes what differs smaller. A step itself is drawn by hand:
 * an arbitrary for each of its fields would cost an emulated CPU more time than the kernel takes.
 */
import type * as FastCheck from 'fast-check';
import type { LapicRegisterName } from '../abi/apic/lapic.ts';
import { AT_ONCE, FAR, FAR_DEADLINE, IA32_TSC_DEADLINE, PERIODIC, TSC_DEADLINE } from '../apic/model/timer.ts';
import { pokable, type Step } from './steps.ts';

const MOST_STEPS = 12;

/** Draws integers, both ends included. */
interface Draw {
  nextInt(low: number, high: number): number;
}

const one = <T>(draw: Draw, among: readonly T[]): T => among[draw.nextInt(0, among.length - 1)]!;
const inOf = (draw: Draw, times: number): boolean => draw.nextInt(1, times) === 1;

function vector(draw: Draw): number {
  const kind = draw.nextInt(0, 8);
  if (kind < 6) return one(draw, [0x31, 0x41, 0x42, 0x51, 0x52, 0xf0]);
  return kind < 8 ? draw.nextInt(0x20, 0xff) : one(draw, [0x00, 0x0e, 0x0f]);
}

/** Logical ids: of one bit, of several, and of clusters. Often two APICs have the same. */
function logicalId(draw: Draw): number {
  return one(draw, inOf(draw, 2) ? [1, 1, 2, 2, 4] : [1, 2, 4, 8, 3, 6, 0, 0x11, 0x12, 0x21, 0x23, 0xf1, 0x80, 0xff]);
}

function destination(draw: Draw, vcpus: number, isLogical: boolean): number {
  const kind = draw.nextInt(0, 7);
  if (kind < 1) return one(draw, [0xff, 0xff, 0x0f, 0x80]);
  if (kind < 2) return draw.nextInt(0, 8);
  return isLogical ? logicalId(draw) | (inOf(draw, 3) ? logicalId(draw) : 0) : draw.nextInt(0, vcpus - 1);
}

const LOGICAL = 1 << 11;

/** Fixed, lowest priority, NMI, INIT, SIPI, ExtINT. */
const deliveryModes = [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 4, 5, 6, 6, 7];
const INIT = 0x4500;
const reserved = [1 << 13, 1 << 16, 1 << 20, 1 << 31];

function icr(draw: Draw): number {
  const logical = draw.nextInt(0, 1) * LOGICAL;
  const busy = inOf(draw, 20) ? 1 << 12 : 0;
  const assert = draw.nextInt(0, 1) << 14;
  const level = inOf(draw, 7) ? 1 << 15 : 0;
  const shorthand = inOf(draw, 3) ? draw.nextInt(1, 3) << 18 : 0;
  const bits = inOf(draw, 20) ? one(draw, reserved) : 0;
  return (vector(draw) | (one(draw, deliveryModes) << 8) | logical | busy | assert | level | shorthand | bits) >>> 0;
}

const words = [0, 0x10, 0x20, 0x30, 0x40, 0x50, 0x2f, 0xff, 0x1ff, 0x0ff, 0x1_0000, 0x0fff_ffff, 0xffff_ffff];

function word(draw: Draw): number {
  const kind = draw.nextInt(0, 7);
  if (kind < 5) return one(draw, words);
  return kind < 7 ? 2 ** (24 + draw.nextInt(0, 7)) : draw.nextInt(0, 0x7fff_ffff);
}

const often: readonly LapicRegisterName[] = [
  ...(['TPR', 'TPR', 'TPR', 'EOI', 'EOI', 'LDR', 'LDR', 'DFR', 'SVR', 'SVR', 'ID', 'ICR2', 'SELF_IPI'] as const),
  ...(['ESR', 'TDCR', 'LVT_TIMER', 'LVT_LINT0', 'LVT_LINT1', 'LVT_ERROR'] as const),
];
const settable = [
  ...(['TPR', 'LDR', 'LDR', 'SVR', 'ID', 'ID', 'ICR', 'ICR2', 'TDCR', 'LVT_ERROR'] as const),
  ...(['IRR1', 'IRR2', 'ISR1', 'ISR2', 'TMR1', 'IRR7', 'ISR7'] as const),
];
/** What user space may put there. */
const settableBits: Partial<Record<LapicRegisterName, number>> = {
  TPR: 0xff,
  SVR: 0x3ff,
  ID: 0xff00_0000,
  LDR: 0xff00_0000,
  ICR2: 0xff00_0000,
  TDCR: 0xb,
  LVT_ERROR: 0x1_00ff,
};
const TMCCT = 0x839;
const someMsrs = [0x83f, 0x83f, 0x808, 0x80b, 0x80d, 0x80e, 0x828, 0x830, 0x831];

/** What is written to a register, of which some values mean more than others. */
function valueFor(draw: Draw, register: LapicRegisterName, vcpus: number): number {
  if (inOf(draw, 4)) return word(draw);
  switch (register) {
    case 'ID':
      return (draw.nextInt(0, vcpus) << 24) >>> 0;
    case 'LDR':
      return (logicalId(draw) << 24) >>> 0;
    case 'SVR':
      return one(draw, [0xff, 0x1ff, 0x2ff, 0x11ff, 0xf]);
    case 'SELF_IPI':
      return vector(draw) | (inOf(draw, 6) ? one(draw, [1 << 8, 1 << 14, 1 << 18, 1 << 31]) : 0);
    default:
      return word(draw);
  }
}
const guestModes = ['x2apic', 'x2apic', 'xapic', 'disabled', 'invalid'] as const;

function msr(draw: Draw): number {
  const chosen = inOf(draw, 4) ? one(draw, someMsrs) : draw.nextInt(0x800, inOf(draw, 3) ? 0x8ff : 0x83f);
  // What the current count is nobody can compare.
  return chosen === TMCCT ? 0x808 : chosen;
}

/** Any other model than these is reserved. */
const models = [0xffff_ffff, 0x0fff_ffff];

function poke(draw: Draw, on: number, vcpus: number): Step {
  const register = inOf(draw, 4) ? one(draw, pokable) : one(draw, often);
  const value = register === 'DFR' ? one(draw, models) : valueFor(draw, register, vcpus) >>> 0;
  return { do: inOf(draw, 8) ? 'write' : 'poke', on, register, value };
}

const MASKED = 1 << 16;
const initialCounts = [0, AT_ONCE, AT_ONCE, AT_ONCE, FAR, 0xffff_ffff];

/** What concerns the timer; most of it is done to one that has been set up. */
function timer(draw: Draw, on: number): Step {
  const kind = draw.nextInt(0, 15);
  if (kind < 4) return { do: 'poke', on, register: 'LVT_TIMER', value: entry(draw) };
  if (kind < 8) return { do: 'poke', on, register: 'TMICT', value: one(draw, initialCounts) };
  if (kind < 9) return { do: 'poke', on, register: 'TDCR', value: draw.nextInt(0, 0xf) };
  if (kind < 11) return { do: 'cpuid', on };
  if (kind < 12) return { do: 'restore', on };
  if (kind < 13) return { do: 'setLapic', on, register: 'TMICT', value: one(draw, initialCounts) };
  if (kind < 14) return { do: 'rdmsr', on, msr: IA32_TSC_DEADLINE };
  return deadline(draw, on);
}

function deadline(draw: Draw, on: number): Step {
  const at = one(draw, [0, AT_ONCE, AT_ONCE, FAR_DEADLINE]);
  return { do: 'wrmsr', on, msr: IA32_TSC_DEADLINE, low: at >>> 0, high: Math.floor(at / 2 ** 32) };
}

const entry = (draw: Draw) =>
  one(draw, [0, 0, 0, PERIODIC, TSC_DEADLINE, TSC_DEADLINE]) | (inOf(draw, 4) ? MASKED : 0) | vector(draw);

/** What may stand in a timer's way when it is started, and what brings it out of that. */
const obstacles: readonly ((on: number) => [Step, Step])[] = [
  (on) => [
    { do: 'base', on, mode: 'disabled' },
    { do: 'base', on, mode: 'xapic' },
  ],
  (on) => [
    { do: 'poke', on, register: 'SVR', value: 0xff },
    { do: 'poke', on, register: 'SVR', value: 0x1ff },
  ],
];

/** A timer that is set up, in one of its modes, and started; then something of it is changed, and KVM looks. */
function drawTimer(draw: Draw, vcpus: number): Step[] {
  const on = draw.nextInt(0, vcpus - 1);
  const poke = (register: LapicRegisterName, value: number): Step => ({ do: 'poke', on, register, value });
  const lvt = entry(draw);
  const start = (lvt & TSC_DEADLINE) === 0 ? poke('TMICT', one(draw, initialCounts)) : deadline(draw, on);
  const [before, after] = inOf(draw, 4) ? one(draw, obstacles)(on) : [];
  const change = draw.nextInt(0, 5);
  return [
    poke('LVT_TIMER', lvt),
    ...(before ? [before] : []),
    start,
    ...(after ? [after] : []),
    ...(inOf(draw, 2) ? [{ do: 'sti', on } as const] : []),
    ...(change < 2 ? [poke('LVT_TIMER', entry(draw))] : []),
    ...(change === 2 ? [poke('TDCR', draw.nextInt(0, 0xf))] : []),
    ...(change === 3 ? [{ do: 'restore', on } as const] : []),
    { do: 'cpuid', on },
  ];
}

/** How the machine is set up before the rest: who is in which mode, has which ids, is software-disabled, waits for a SIPI; and who is sent to. */
function drawSettings(draw: Draw, vcpus: number, hasTimer: boolean): Step[] {
  if (hasTimer && inOf(draw, 8)) return drawTimer(draw, vcpus);
  const kind = draw.nextInt(0, 9);
  if (kind < 3) return [];
  const settings: Step[] = [];
  const ids: { destination: number; logical: number }[] = [];
  if (kind < 6)
    settings.push({ do: 'modes', mode: one(draw, ['x2apic', 'x2apic', 'x2apic', 'x2apic', 'disabled'] as const) });
  for (let on = 0; on < vcpus; on++) {
    const poke = (register: LapicRegisterName, value: number) => settings.push({ do: 'poke', on, register, value });
    const name = (register: 'ID' | 'LDR', id: number) => {
      poke(register, (id << 24) >>> 0);
      ids.push({ destination: id, logical: register === 'LDR' ? LOGICAL : 0 });
    };
    if (kind >= 6 && !inOf(draw, 4)) name('LDR', logicalId(draw));
    if (kind >= 6 && inOf(draw, 3)) poke('DFR', one(draw, models));
    if (inOf(draw, 6)) name('ID', draw.nextInt(0, vcpus));
    if (inOf(draw, 8)) poke('SVR', 0xff);
    if (inOf(draw, 10)) settings.push({ do: 'send', on, destination: draw.nextInt(0, vcpus - 1), icr: INIT });
  }
  if (ids.length === 0 || inOf(draw, 4)) return settings;
  const { destination: id, logical } = one(draw, ids);
  // Whom it names, or one bit of it.
  const destination = logical !== 0 && inOf(draw, 2) ? id & one(draw, [1, 2, 4, 0xf0]) : id;
  const command = (one(draw, [0, 0, 0, 1, 4]) << 8) | logical | 0x4000 | vector(draw);
  return [...settings, { do: 'send', on: draw.nextInt(0, vcpus - 1), destination, icr: command }];
}

function drawStep(draw: Draw, vcpus: number, hasTimer: boolean): Step {
  const on = draw.nextInt(0, vcpus - 1);
  if (hasTimer && inOf(draw, 12)) return timer(draw, on);
  const kind = draw.nextInt(0, 51);
  if (kind < 12) {
    const command = icr(draw);
    return { do: 'send', on, destination: destination(draw, vcpus, (command & LOGICAL) !== 0), icr: command };
  }
  if (kind < 20) return poke(draw, on, vcpus);
  if (kind < 24) return { do: inOf(draw, 8) ? 'read' : 'peek', on, register: one(draw, pokable) };
  if (kind < 27) {
    const high = inOf(draw, 4) ? one(draw, [1, 0x8000_0000]) : 0;
    return { do: 'wrmsr', on, msr: msr(draw), low: inOf(draw, 2) ? word(draw) : vector(draw), high };
  }
  if (kind < 29) return { do: 'rdmsr', on, msr: inOf(draw, 5) ? 0x1b : msr(draw) };
  if (kind < 32) return { do: 'base', on, mode: one(draw, guestModes) };
  if (kind < 35) return { do: 'writeCr8', on, value: draw.nextInt(0, 15) };
  if (kind < 36) return { do: 'readCr8', on };
  if (kind < 42) return { do: one(draw, ['sti', 'sti', 'sti', 'cli', 'nop', 'nop', 'hlt'] as const), on };
  if (kind < 44) return { do: 'handlers', on, eoi: inOf(draw, 2) };
  if (kind < 45) return { do: 'nmi', on };
  if (kind < 47) {
    const register = one(draw, settable);
    // Not a timer that runs, nor an IRR of exceptions; and the ICR keeps no busy bit.
    const value = register === 'ICR' ? icr(draw) & ~(1 << 12) : valueFor(draw, register, vcpus);
    return { do: 'setLapic', on, register, value: (value & (settableBits[register] ?? 0xffff_ffff)) >>> 0 };
  }
  if (kind < 48) return inOf(draw, 2) ? { do: 'restore', on } : { do: 'setBase', on, mode: one(draw, hostModes) };
  if (kind < 50) return { do: inOf(draw, 2) ? 'base' : 'setBase', on, mode: one(draw, hostModes) };
  const isLogical = inOf(draw, 2);
  const addressLo = (0xfee0_0000 | (destination(draw, vcpus, isLogical) << 12) | (isLogical ? 4 : 0)) >>> 0;
  const data = icr(draw) & 0xc7ff;
  // The redirection hint of another one than a fixed interrupt is nobody's to say.
  const isHinted = (data & 0x600) === 0 && inOf(draw, 3);
  return { do: 'msi', addressLo: (isHinted ? addressLo | 8 : addressLo) >>> 0, data };
}

const hostModes = ['xapic', 'x2apic', 'disabled'] as const;

/** Simpler values of a field. */
function simpler(name: string, value: unknown): unknown[] {
  if (typeof value !== 'number' || value === 0) return [];
  if (name === 'icr' || name === 'data')
    // Without one of its parts; and then with a plain vector.
    return [0xff_ffff, ~0xc_0000, ~0x8000, ~0x4000, ~0x800, ~0x700]
      .map((mask) => (value & mask) >>> 0)
      .concat(((value & ~0xff) | 0x31) >>> 0)
      .filter((other) => other !== value);
  if (name === 'msr' || name === 'addressLo') return [];
  return [0, value >>> 1].filter((other) => other !== value);
}

/** Simpler ones instead of a step. */
function simplerSteps(step: Step, vcpus: number): Step[] {
  if (step.do === 'modes')
    return Array.from({ length: vcpus }, (_, on): Step => ({ do: 'setBase', on, mode: step.mode }));
  return Object.entries(step).flatMap(([name, value]) =>
    simpler(name, value).map((other) => ({ ...step, [name]: other }) as Step),
  );
}

/**
 * Histories of a machine with so many vCPUs.
 *
 * @param hasTimer they start timers, too
 */
export function histories(fc: typeof FastCheck, vcpus: number, hasTimer = true): FastCheck.Arbitrary<Step[]> {
  const streamOf = <T>(values: readonly T[]) => fc.Stream.of(...values.map((one) => new fc.Value(one, undefined)));

  class Steps extends fc.Arbitrary<Step> {
    generate(draw: FastCheck.Random): FastCheck.Value<Step> {
      return new fc.Value(drawStep(draw, vcpus, hasTimer), undefined);
    }

    canShrinkWithoutContext(value: unknown): value is Step {
      return typeof value === 'object' && value !== null && 'do' in value;
    }

    shrink(step: Step): FastCheck.Stream<FastCheck.Value<Step>> {
      return streamOf(simplerSteps(step, vcpus));
    }
  }

  class Settings extends fc.Arbitrary<Step[]> {
    generate(draw: FastCheck.Random): FastCheck.Value<Step[]> {
      return new fc.Value(drawSettings(draw, vcpus, hasTimer), undefined);
    }

    canShrinkWithoutContext(value: unknown): value is Step[] {
      return Array.isArray(value);
    }

    /** None of them, one less, or one of them simpler. */
    shrink(settings: Step[]): FastCheck.Stream<FastCheck.Value<Step[]>> {
      const fewer = settings.map((_, at) => settings.toSpliced(at, 1));
      const simpler = settings.flatMap((step, at) =>
        simplerSteps(step, vcpus).map((other) => settings.with(at, other)),
      );
      return streamOf([...(settings.length > 1 ? [[]] : []), ...fewer, ...simpler]);
    }
  }

  const steps = fc.array(new Steps(), { minLength: 1, maxLength: MOST_STEPS, size: 'max' });
  return fc.tuple(new Settings(), steps).map(([first, then]) => [...first, ...then]);
}
