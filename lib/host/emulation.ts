/** Whether guests run on the CPU or in an emulator. */
import { kvmModule } from './kvm-module.ts';

/**
 * True if this host's KVM has neither VMX nor SVM below it and runs guests outside 64-bit mode by its instruction
 * emulator. That does not know every instruction: `int n`, `int3`, and `iret` in protected mode end the guest with
 * KVM_EXIT_INTERNAL_ERROR. Nor do its LAPICs keep a vector in service: a handler without EOI stops nothing there.
 */
export function emulatesGuests(): boolean {
  return kvmModule() === null;
}
