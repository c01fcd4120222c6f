// What the overhead shim answers KVM_RUN with, behind struct kvm_run: bench/c/script.h. A real KVM does not look there.
import { type Answer, type Guest, last } from './guest.ts';

const AT = 3072;
const MAGIC = 0x7470_6972_6353_6d76n;
const ANSWER_SIZE = 56;

/** The next `exits` exits are the guest's, then comes its last one, then none. */
export function writeScript(kvmRun: DataView, guest: Guest, exits: number, rip: number): void {
  writeAnswer(kvmRun, AT + 16, guest.each, rip);
  writeAnswer(kvmRun, AT + 16 + ANSWER_SIZE, last, rip);
  kvmRun.setBigUint64(AT + 8, BigInt(exits) + 1n, true);
  kvmRun.setBigUint64(AT, MAGIC, true);
}

function writeAnswer(kvmRun: DataView, at: number, { reason, payload, data }: Answer, rip: number): void {
  const bytes = new Uint8Array(kvmRun.buffer, kvmRun.byteOffset + at, ANSWER_SIZE);
  kvmRun.setUint32(at, reason, true);
  bytes.set(payload, 8);
  bytes.set(data, 40);
  kvmRun.setBigUint64(at + 48, BigInt(rip), true);
}
