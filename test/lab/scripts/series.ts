// What the series does, in one machine per case, on a kernel that has it: run inside the lab by examples.test.ts.
import {
  decodeLapic,
  flat32,
  type Instruction,
  type Machine,
  machine,
  out8,
  write16,
  write32,
  writeLapicRegister,
} from 'kvm-dsm';

const LAPIC = 0xfee0_0000;
const ICR = LAPIC + 0x300;
const ICR2 = LAPIC + 0x310;
const DONE = 0x10;

/** `cld; mov edi, ICR; mov eax, 0x01000040; mov ecx, 5; rep stosd`: one instruction that writes ICR and ICR2. */
const storeBothRegisters: Instruction = Uint8Array.of(
  ...[0xfc, 0xbf, 0x00, 0x03, 0xe0, 0xfe, 0xb8, 0x40, 0x00, 0x00, 0x01, 0xb9, 0x05, 0x00, 0x00, 0x00, 0xf3, 0xab],
);

async function run(use: (m: Machine) => void, ...code: Instruction[]): Promise<void> {
  await using m = await machine({ vcpus: 2 });
  const target = m.vcpu(1).vcpu;
  const page = target.getLapic();
  writeLapicRegister(page, 'SVR', 0x1ff);
  target.setLapic(page);
  m.vcpu(0).program(flat32(...code, out8(DONE)));
  await m.run({ until: { port: DONE } });
  use(m);
}

const forwarded = (m: Machine) => m.trace.named('KVM_EXIT_DSM_SEND_IRQ').map(({ exit }) => [exit.val, exit.val2]);

function same(what: string, actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: ${a}, expected ${b}`);
}

await run(
  (m) => same('delivered here as well', decodeLapic(m.vcpu(1).vcpu.getLapic()).irr, [0xf0]),
  write32(ICR2, 0x0100_0000),
  write32(ICR, 0x40f0),
);
await run(
  (m) => same('other registers, other sizes, between registers', forwarded(m), []),
  write32(LAPIC + 0x80, 0x10), // TPR
  write16(ICR2, 0x0100),
  write32(ICR + 4, 1),
);
await run(
  (m) =>
    same('each write, in program order', forwarded(m), [
      [0x310, 0xff00_0000],
      [0x310, 0x0200_0000],
      [0x300, 0x000c_0041],
    ]),
  write32(ICR2, 0xff00_0000),
  write32(ICR2, 0x0200_0000),
  write32(ICR, 0x000c_0041),
);
await run((m) => same('one slot: the second of two writes', forwarded(m), [[0x310, 0x0100_0040]]), storeBothRegisters);

console.error('series: all checked');
