/** The state with which a scene begins. */
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import { kvmRegs, kvmSregs, kvmVcpuEvents, RFLAGS_FIXED } from '../../../abi/kvm/index.ts';
import type { VcpuState } from './bed.ts';
import { INTRUDER, STACK } from './layout.ts';
import { flat32 } from './modes.ts';
import type { Scene } from './scene.ts';

/** What a guest's general registers hold, each another value. */
const junk = Object.fromEntries(
  ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'].map(
    (name, n) => [name, 0x5a00_c3e1n + (BigInt(n) << 16n)],
  ),
);

/** Brings all vCPUs into the state with which the scene begins. */
export function bring(scene: Scene): void {
  scene.bed.vcpus.forEach((_, place) => {
    scene.bed.set(place, wanted(scene, place));
  });
}

/** What a vCPU has to be like when the scene begins. */
function wanted(scene: Scene, place: number): VcpuState {
  const { bed, mode, sender } = scene;
  const plain = bed.plain[place]!;
  const state = { ...plain };
  const lapic = scene.lapics.get(place);
  if (lapic) {
    state.lapic = Buffer.from(plain.lapic);
    for (const [offset, value] of lapic) state.lapic.writeUInt32LE(value, offset);
  }
  const events = scene.events.get(place);
  if (events) state.events = Buffer.from(kvmVcpuEvents.encode(events(bed.events(plain))));
  const mp = scene.mpStates.get(place);
  if (mp !== undefined) {
    state.mp = Buffer.alloc(4);
    state.mp.writeUInt32LE(mp);
  }
  const tpr = lapic?.get(lapicRegisters.TPR) ?? 0;
  const own = scene.ownSregs.get(place);
  if (place === scene.intruder) {
    state.sregs = Buffer.from(kvmSregs.encode(flat32.sregs(bed.sregs(plain))));
    state.regs = Buffer.from(kvmRegs.encode({ ...junk, rip: BigInt(INTRUDER), rflags: RFLAGS_FIXED }));
    return state;
  }
  if (place !== sender) {
    const sregs = { ...bed.sregs(plain), cr8: BigInt(tpr >> 4) };
    if (tpr !== 0 || own) state.sregs = Buffer.from(kvmSregs.encode(own ? own(sregs) : sregs));
    return state;
  }
  let sregs = { ...mode.sregs(bed.sregs(plain)), cr8: BigInt(tpr >> 4) };
  if (scene.apicBase !== null) sregs.apicBase = (sregs.apicBase & 0xfffn) | scene.apicBase;
  for (const change of scene.sregs) sregs = change(sregs);
  state.sregs = Buffer.from(kvmSregs.encode(sregs));
  const rflags = RFLAGS_FIXED | mode.flags | scene.flags;
  const rsp = BigInt(mode.bits === 16 ? 0xff00 : STACK);
  state.regs = Buffer.from(kvmRegs.encode({ ...junk, rsp, ...scene.regs, rip: BigInt(mode.rip), rflags }));
  return state;
}
