/** Another vCPU, which writes ICR2 and ICR by turns between the writes of a scene: what is in its slot must never come out. */
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import { hex } from '../../../base/text.ts';
import { describeExit } from '../../../exit/text.ts';
import type { CheckContext } from '../../kit/context.ts';
import { saw } from '../../kit/drive.ts';
import type { Bed } from './bed.ts';
import { intruderRip, intruderWrites as writes } from './intruder-code.ts';
import type { Meanwhile, Wrong } from './judge.ts';

export class Intruder implements Meanwhile {
  readonly place: number;
  readonly wrong: Wrong[] = [];
  #done = 0;
  readonly #ctx: CheckContext;
  readonly #bed: Bed;

  constructor(ctx: CheckContext, bed: Bed, place: number) {
    this.#ctx = ctx;
    this.#bed = bed;
    this.place = place;
  }

  /** Makes the next of its writes, to its exit. */
  write(): void {
    const { register, value } = writes[this.#done % writes.length]!;
    const vcpu = this.#bed.vcpus[this.place]!;
    const exit = saw(this.#ctx, vcpu, vcpu.run({ profile: this.#ctx.profile }));
    this.#done += 1;
    const [from, dest] = [vcpu.vcpuId, writes[0]!.value >>> 24];
    if (
      exit.name === 'KVM_EXIT_DSM_SEND_IRQ' &&
      [exit.id, exit.val, exit.val2].every((got, n) => got === [from, lapicRegisters[register], value][n]) &&
      (exit.destId === null || exit.destId === dest)
    )
      return;
    const text = `vCPU ${from} wrote ${hex(value)} meanwhile, and its exit was: ${describeExit(exit)}`;
    this.wrong.push({ register: 'both', claim: 'payload', text });
  }

  /** What it has written, and where it goes on. */
  get left(): Meanwhile['left'] {
    return { registers: writes.slice(0, this.#done), rip: intruderRip(this.#done) };
  }
}
