/** Random guest code that is about one thing: the local APIC, or MSRs. */
import type { GuestMode } from 'kvm-dsm';
import type { Random } from './random.ts';

const le = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, at) => (value >>> (8 * at)) & 255);

/** `mov r32, value` in any mode. */
const load = (mode: GuestMode, opcode: number, value: number): number[] => [
  ...(mode === 'real16' ? [0x66] : []),
  opcode,
  ...le(value, 4),
];
const EAX = 0xb8;
const ECX = 0xb9;
const EDX = 0xba;

const wrmsr = (mode: GuestMode, msr: number, low: number, high: number): number[] => [
  ...load(mode, ECX, msr),
  ...load(mode, EAX, low),
  ...load(mode, EDX, high),
  0x0f,
  0x30,
];
const rdmsr = (mode: GuestMode, msr: number): number[] => [...load(mode, ECX, msr), 0x0f, 0x32];

/** How code goes on behind an access. */
function rest(random: Random): number[] {
  return random.pick([
    [],
    [],
    [],
    [0xfb],
    [0xfa],
    [0xf4],
    [0xfb, 0xf4],
    [0x90],
    [0xe6, 0x10],
    [0xcd, random.int(0, 255)],
  ]);
}

/** ICR's low half: reserved bits too, but every field often with a meaning. */
function icrLow(random: Random): number {
  if (random.chance(0.1)) return random.u32();
  const vector = random.chance(0.8) ? random.int(16, 255) : random.int(0, 15);
  const mode = random.int(0, 7) << 8;
  const bits = (random.int(0, 1) << 11) | (random.int(0, 1) << 14) | (random.int(0, 1) << 15);
  return (vector | mode | bits | (random.int(0, 3) << 18)) >>> 0;
}

const destination = (random: Random): number => random.pick([0, 1, 1, 1, 2, 3, 0xff, 0xffff_ffff, random.u32()]);

/** In the APIC page; real mode reaches it with a 32-bit address only if its segment's limit lets it. */
function pageAccess(random: Random, mode: GuestMode): number[] {
  const register = random.pick([0x300, 0x300, 0x300, 0x310, 0x310, random.int(0, 0x3f) << 4, random.int(0, 0xfff)]);
  const value =
    register === 0x310 ? (destination(random) << 24) >>> 0 : register === 0x300 ? icrLow(random) : random.u32();
  // ds:[disp32]: in 64-bit mode that needs a SIB byte.
  const place = [...(mode === 'long64' ? [0x04, 0x25] : [0x05]), ...le(0xfee0_0000 + register, 4)];
  const prefix = mode === 'real16' ? [0x67] : [];
  const wide = mode === 'real16' ? [0x66] : [];
  const narrow = mode === 'real16' ? [] : [0x66];
  if (random.chance(0.75)) return [...prefix, ...wide, 0xc7, ...place, ...le(value, 4)];
  return random.pick([
    [...prefix, ...narrow, 0xc7, ...place, ...le(value, 2)],
    [...prefix, 0xc6, ...place, value & 255],
    [...prefix, ...wide, 0x8b, ...place],
    [...prefix, ...wide, 0xff, ...place],
    [...prefix, ...wide, 0xf0, 0x81, ...place, ...le(value, 4)],
    [...prefix, ...(mode === 'long64' ? [0x48] : wide), 0xc7, ...place, ...le(value, 4)],
    [...prefix, 0x0f, 0x11, ...place],
    [...prefix, ...wide, 0x87, ...place],
  ]);
}

function x2apicAccess(random: Random, mode: GuestMode): number[] {
  const msr = 0x800 + random.pick([0x30, 0x30, 0x30, 0x3f, random.int(0, 0x3f), random.int(0, 0xff)]);
  if (random.chance(0.2)) return rdmsr(mode, msr);
  const value = msr === 0x830 ? icrLow(random) : random.chance(0.5) ? random.int(0, 0x1ff) : random.u32();
  return wrmsr(mode, msr, value, msr === 0x830 ? destination(random) : random.chance(0.7) ? 0 : random.u32());
}

/** 2 to 16 accesses to the local APIC, most of them to the ICR. */
export function apicPayload(random: Random, mode: GuestMode): Uint8Array {
  const bytes: number[] = [];
  const byMsr = random.chance(mode === 'real16' ? 0.9 : 0.4);
  if (byMsr && random.chance(0.5)) bytes.push(...wrmsr(mode, 0x1b, 0xfee0_0d00, 0));
  if (random.chance(0.5)) {
    const place = mode === 'long64' ? [0x04, 0x25] : [0x05];
    if (byMsr || mode === 'real16') bytes.push(...wrmsr(mode, 0x80f, 0x1ff, 0));
    else bytes.push(0xc7, ...place, ...le(0xfee0_00f0, 4), ...le(0x1ff, 4));
  }
  for (let i = random.int(2, 16); i > 0; i--) {
    bytes.push(
      ...(byMsr !== random.chance(0.1) ? x2apicAccess(random, mode) : pageAccess(random, mode)),
      ...rest(random),
    );
    // The page moves, or the APIC changes its mode.
    if (random.chance(0.05))
      bytes.push(
        ...wrmsr(
          mode,
          0x1b,
          random.pick([0xfee0_0100, 0xfee0_0900, 0xfee0_0d00, 0xfed0_0900, 0x0003_0900, random.u32()]),
          0,
        ),
      );
  }
  return Uint8Array.from(bytes);
}

/** MSRs with a meaning to KVM: the CPU's, AMD's, x2APIC's, KVM's own and Hyper-V's. */
const msrs = [
  0x10, 0x11, 0x12, 0x17, 0x1b, 0x2a, 0x34, 0x3a, 0x3b, 0x48, 0x49, 0x79, 0x8b, 0x9e, 0xc1, 0xce, 0xcd, 0xe1, 0xe7,
  0xfe, 0x10a, 0x10b, 0x122, 0x140, 0x174, 0x175, 0x176, 0x179, 0x17a, 0x17b, 0x186, 0x198, 0x19a, 0x19c, 0x1a0, 0x1c4,
  0x1d9, 0x1db, 0x200, 0x201, 0x250, 0x26f, 0x277, 0x280, 0x2ff, 0x309, 0x345, 0x38d, 0x38f, 0x390, 0x3f1, 0x400, 0x401,
  0x480, 0x48b, 0x491, 0x560, 0x570, 0x600, 0x6a0, 0x6a2, 0x6a4, 0x6e0, 0x6e1, 0xda0, 0xd90, 0x4000_0000, 0x4000_0001,
  0x4000_0020, 0x4000_0070, 0x4000_0073, 0x4000_0080, 0x4000_0090, 0x4000_00b0, 0x4000_00f1, 0x4000_0100, 0x4b56_4d00,
  0x4b56_4d01, 0x4b56_4d02, 0x4b56_4d03, 0x4b56_4d04, 0x4b56_4d05, 0x4b56_4d06, 0x4b56_4d07, 0x4b56_4d08, 0xc000_0080,
  0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084, 0xc000_0100, 0xc000_0101, 0xc000_0102, 0xc000_0103, 0xc000_0104,
  0xc001_0000, 0xc001_0010, 0xc001_0015, 0xc001_0020, 0xc001_0055, 0xc001_0058, 0xc001_0064, 0xc001_0111, 0xc001_0112,
  0xc001_0114, 0xc001_0117, 0xc001_0131, 0xc001_0200, 0xc001_001f, 0xc001_1022, 0xc001_1023, 0xc001_1029,
];

/** 2 to 16 reads and writes of MSRs. */
export function msrPayload(random: Random, mode: GuestMode): Uint8Array {
  const bytes: number[] = [];
  for (let i = random.int(2, 16); i > 0; i--) {
    const msr = random.chance(0.9) ? random.pick(msrs) : random.u32();
    const low = () => random.pick([0, 1, 3, 0x30001, 0x500, 0xfee0_0900, 1 << random.int(0, 31), random.u32()]) >>> 0;
    bytes.push(
      ...(random.chance(0.4) ? rdmsr(mode, msr) : wrmsr(mode, msr, low(), random.chance(0.6) ? 0 : random.u32())),
      ...(random.chance(0.2) ? rest(random) : []),
    );
  }
  return Uint8Array.from(bytes);
}
