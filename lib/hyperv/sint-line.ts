/** The way of a SINT from user space to the guest, and of its acknowledgement back. */

import { SINTS, type SynicMessage } from '../abi/hyperv.ts';
import type { GsiRoute } from '../abi/kvm/gsi-route.ts';
import { defaultGsiRouting } from '../abi/kvm/gsi-route.ts';
import { checkInstance, checkList } from '../base/check.ts';
import { type Duration, milliseconds } from '../base/duration.ts';
import { EINVAL } from '../base/errno.ts';
import { ArgumentError, DeadlineError } from '../base/errors.ts';
import { boolean, integer, optional, shape } from '../base/shape.ts';
import { NoIrqchipError } from '../kvm/errors.ts';
import { EventFd } from '../kvm/eventfd.ts';
import { Vm } from '../kvm/vm/vm.ts';
import { checkSynic, type Flagged, type Posted, type Synic } from './synic.ts';

/** GSIs below belong to the PICs and the IOAPIC. */
const FIRST_GSI = 24;

/** One SINT of one vCPU. */
export interface SintEnd {
  /** The vCPU's SynIC: `Synic.enable`, or `vcpu.synic` of a machine. */
  synic: Synic;
  /** 0 to 15. */
  sint: number;
  /** Default: the one that is routed to it, or the first one from 24 on that no route has. */
  gsi?: number;
}

/** What `connectSints()` takes beside the SINTs. */
export interface SintLineOptions {
  /** Have an acknowledgement: needs all interrupt controllers in the kernel (`createIrqchip`). Default true. */
  resample?: boolean;
}

const lineOptions = shape<SintLineOptions>('connectSints() takes', { resample: optional(boolean) });
const sintEnd = shape<SintEnd>('one end of a SINT takes', {
  synic: (_, value) => checkSynic(value as Synic),
  sint: integer(0, SINTS - 1),
  gsi: optional(integer(0, 4095)),
});

/** A SINT that user space can signal: a GSI routed to it, an irqfd, and the event of its resampler. */
export class SintLine implements Disposable {
  /** The SynIC that has the SINT. */
  readonly synic: Synic;
  /** 0 to 15. */
  readonly sint: number;
  /** The GSI that is routed to it. */
  readonly gsi: number;
  /** The irqfd: a write delivers the SINT's vector, unless the SINT is masked. */
  readonly event: EventFd;
  /**
   * The resampler's event: KVM writes it when the guest ends the SINT's interrupt by EOI, and when it writes EOM, which
   * acknowledges every SINT of its vCPU. Delivered with auto-EOI it has EOM alone. `null` without resampler.
   */
  readonly acknowledged: EventFd | null;
  readonly #vm: Vm;

  private constructor(vm: Vm, { synic, sint, gsi }: Required<SintEnd>, resample: boolean) {
    this.#vm = vm;
    this.synic = synic;
    this.sint = sint;
    this.gsi = gsi;
    this.event = EventFd.create();
    this.acknowledged = resample ? EventFd.create() : null;
    vm.assignIrqfd(this.event, gsi, this.acknowledged ? { resample: this.acknowledged } : {});
  }

  /** @internal Use `connectSints`. */
  static assign(vm: Vm, end: Required<SintEnd>, resample: boolean): SintLine {
    return new SintLine(vm, end, resample);
  }

  /** Has KVM deliver the SINT. After this call the vector is in the vCPU's IRR, unless the SINT is masked. */
  signal(): void {
    this.event.write();
  }

  /** `synic.postMessage`, and the signal where it was posted. */
  post(message: SynicMessage): Posted {
    const posted = this.synic.postMessage(this.sint, message);
    if (posted === 'posted') this.signal();
    return posted;
  }

  /** `synic.setEventFlag`, and the signal where it was not set before. */
  raise(flag: number): Flagged {
    const flagged = this.synic.setEventFlag(this.sint, flag);
    if (flagged === 'set') this.signal();
    return flagged;
  }

  /**
   * Posts a message as soon as the slot is free: as long as it is busy it waits for the acknowledgement, beside the event
   * loop. Posts on one line have to wait for each other.
   *
   * @throws DeadlineError if the slot was not free in time; ArgumentError if the line has no resampler, or there is no
   *   message page
   */
  async deliver(message: SynicMessage, deadline: Duration): Promise<void> {
    const { acknowledged } = this;
    if (acknowledged === null)
      throw new ArgumentError(
        'resample',
        'The line has no resampler to wait for',
        'Connect it with one, or use post().',
      );
    const ends = performance.now() + milliseconds(deadline);
    for (;;) {
      const posted = this.post(message);
      if (posted === 'posted') return;
      if (posted === 'disabled')
        throw new ArgumentError('sint', 'The guest has disabled its SynIC or its message page', 'Wait for its SIMP.');
      await acknowledged.wait(Math.max(1, ends - performance.now())).catch((error: unknown) => {
        throw error instanceof DeadlineError ? this.#late(deadline) : error;
      });
    }
  }

  #late(deadline: Duration): DeadlineError {
    const { vcpu } = this.synic;
    return new DeadlineError(
      `The guest did not free the message slot of SINT ${this.sint} on vCPU ${vcpu.vcpuId} within ${milliseconds(deadline)} ms`,
      '',
    );
  }

  /** Takes it away from the VM. The route stays. */
  close(): void {
    if (this.event.closed) return;
    if (!this.#vm.closed) this.#vm.deassignIrqfd(this.event, this.gsi);
    this.event.close();
    this.acknowledged?.close();
  }

  /** Closes it: `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Routes a GSI to each of these SINTs, beside the routes that the VM has, and assigns an irqfd to it.
 *
 * KVM takes the way back, from a SINT to its GSI, when routes are set, and for a vCPU that has its SynIC by then; it never
 * forgets one. So enable every SynIC first.
 *
 * @throws NoIrqchipError without in-kernel local APICs, or with a resampler on a split irqchip; ArgumentError; IoctlError
 *   (KVM_SET_GSI_ROUTING, KVM_IRQFD)
 */
export function connectSints<const E extends readonly SintEnd[]>(
  vm: Vm,
  ends: E,
  options: SintLineOptions = {},
): { -readonly [K in keyof E]: SintLine } {
  checkInstance('vm', vm, Vm);
  const { resample = true } = lineOptions.take(options);
  if (vm.irqchip === 'none' || (resample && vm.irqchip !== 'full')) throw new NoIrqchipError('KVM_IRQFD', EINVAL);
  const routes: GsiRoute[] = [...(vm.gsiRouting ?? (vm.irqchip === 'full' ? defaultGsiRouting() : []))];
  const all = checkList('ends', ends).map((end) => {
    const { synic, sint, gsi } = sintEnd.take(end, 'end');
    return { synic, sint, gsi: gsiFor(routes, synic.vpIndex, sint, gsi) };
  });
  vm.setGsiRouting(routes);
  const lines: SintLine[] = [];
  try {
    for (const end of all) lines.push(SintLine.assign(vm, end, resample));
  } catch (error) {
    for (const line of lines) line.close();
    throw error;
  }
  return lines as { -readonly [K in keyof E]: SintLine };
}

/** The gsi of a SINT: the one that it has, else the one that is asked for, else the first that is free, put into `routes`. */
function gsiFor(routes: GsiRoute[], vcpu: number, sint: number, asked: number | undefined): number {
  const has = routes.find((route) => route.type === 'hvSint' && route.vcpu === vcpu && route.sint === sint);
  if (has && (asked === undefined || asked === has.gsi)) return has.gsi;
  const taken = new Set(routes.map(({ gsi }) => gsi));
  if (has || (asked !== undefined && taken.has(asked)))
    throw new ArgumentError(
      'gsi',
      has ? `SINT ${sint} of VP ${vcpu} has gsi ${has.gsi}` : `gsi ${asked} leads elsewhere`,
      'Leave it out, or choose another.',
    );
  let gsi = asked ?? FIRST_GSI;
  while (taken.has(gsi)) gsi += 1;
  routes.push({ type: 'hvSint', gsi, vcpu, sint });
  return gsi;
}
