/** KVM_IRQ_LINE, KVM_SIGNAL_MSI, KVM_SET_GSI_ROUTING and KVM_IRQFD. */
import { type GsiRoute, type IrqchipName, irqchipIds, type MsiMessage, routingEntry } from '../../abi/kvm/gsi-route.ts';
import {
  encodeGsiRouting,
  KVM_IOAPIC_NUM_PINS,
  KVM_IRQFD_FLAG_DEASSIGN,
  kvmIrqLevel,
  kvmMsi,
} from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkChoice, checkInstance, checkInteger, checkList, checkObject } from '../../base/check.ts';
import { IoctlError } from '../../base/errors.ts';
import { instance, integer, type ObjectCheck, oneOf, optional, shape } from '../../base/shape.ts';
import { EventFd } from '../eventfd.ts';
import { isEnxio, needIrqchip } from '../no-irqchip.ts';
import type { ExitLog } from '../vcpu/run/exit-log.ts';
import type { IrqLineStatus } from './acts.ts';
import type { VmCalls, VmHost } from './host.ts';

const MAX_U32 = 0xffff_ffff;

/** Ways into a VM's interrupt controllers: lines, messages, the routes of GSIs, and the events that assert one. */
export class Lines {
  readonly #calls: VmCalls;
  readonly #vm: VmHost;
  #routes: readonly GsiRoute[] | null = null;
  #messageLogged: (() => void) | null = null;

  constructor(calls: VmCalls, vm: VmHost) {
    this.#calls = calls;
    this.#vm = vm;
  }

  set(gsi: number, level: boolean): void {
    this.#line(ioctls.KVM_IRQ_LINE, gsi, level);
    this.#vm.acted({ ioctl: 'KVM_IRQ_LINE', gsi, level: !!level });
  }

  setStatus(gsi: number, level: boolean): IrqLineStatus {
    const vcpus = this.#line(ioctls.KVM_IRQ_LINE_STATUS, gsi, level).getInt32(0, true);
    const status = vcpus > 0 ? { delivered: vcpus } : vcpus === 0 ? 'coalesced' : 'ignored';
    this.#vm.acted({ ioctl: 'KVM_IRQ_LINE_STATUS', gsi, level: !!level, status });
    return status;
  }

  #line(request: number, gsi: number, level: boolean): DataView {
    const argument = kvmIrqLevel.encode({ irq: checkInteger('gsi', gsi, 0, MAX_U32), level: level ? 1 : 0 });
    needIrqchip(() => this.#calls.ioctl(request, argument), isEnxio);
    return new DataView(argument.buffer);
  }

  /** From now on the log gets each message that the kernel takes, and `logged` is called after that. */
  logMessages(log: ExitLog, logged: () => void): void {
    this.#calls.native.logMessages(log.native);
    this.#messageLogged = logged;
  }

  signalMsi(given: MsiMessage): boolean {
    messageKeys.checkKeys(given, 'message');
    const { addressLo, addressHi = 0, data } = given;
    const { argument } = this.#calls;
    argument.setUint32(0, checkInteger('addressLo', addressLo, 0, MAX_U32), true);
    argument.setUint32(4, checkInteger('addressHi', addressHi, 0, MAX_U32), true);
    argument.setUint32(8, checkInteger('data', data, 0, MAX_U32), true);
    for (let at = 12; at < kvmMsi.size; at += 4) argument.setUint32(at, 0);
    const delivered = needIrqchip(this.#sendMsi, this.#isMissing) > 0;
    this.#messageLogged?.();
    if (this.#vm.hasMessagesHeard)
      this.#vm.acted({ ioctl: 'KVM_SIGNAL_MSI', message: { addressLo, addressHi, data }, delivered });
    return delivered;
  }

  setRouting(routes: readonly GsiRoute[]): void {
    const checked = Array.from(checkList('routes', routes), checkRoute);
    this.#calls.ioctl(ioctls.KVM_SET_GSI_ROUTING, encodeGsiRouting(checked.map(routingEntry)));
    this.#routes = checked;
  }

  get routing(): readonly GsiRoute[] | null {
    return this.#routes;
  }

  assignIrqfd(event: EventFd, gsi: number, options: { resample?: EventFd }): void {
    this.#irqfd(event, gsi, 0, irqfdOptions.take(options).resample ?? null);
  }

  deassignIrqfd(event: EventFd, gsi: number): void {
    this.#irqfd(event, gsi, KVM_IRQFD_FLAG_DEASSIGN, null);
  }

  #irqfd(event: EventFd, gsi: number, flags: number, resample: EventFd | null): void {
    checkInstance('event', event, EventFd);
    checkInteger('gsi', gsi, 0, MAX_U32);
    const assign = () =>
      this.#calls.call(ioctls.KVM_IRQFD, (native) => native.irqfd(event.native, gsi, flags, resample?.native ?? null));
    try {
      needIrqchip(assign, this.#isMissing);
    } catch (error) {
      const cannotResample = resample !== null && this.#vm.irqchip() === 'split';
      if (!(error instanceof IoctlError) || error.errnoName !== 'EINVAL' || !cannotResample) throw error;
      throw new IoctlError('KVM_IRQFD', error.errno, {
        what: 'resampling needs the in-kernel IOAPIC, and a split irqchip leaves it to user space',
        advice:
          'Leave `resample` out: on a split irqchip the EOI of a level-triggered interrupt is KVM_EXIT_IOAPIC_EOI, for the routes of the GSIs that enableSplitIrqchip() kept. Or call createIrqchip().',
      });
    }
  }

  readonly #sendMsi = (): number => this.#calls.sendMsi();

  readonly #isMissing = (): boolean => this.#vm.irqchip() === 'none';
}

const u32 = integer(0, MAX_U32);
const message = { addressLo: u32, addressHi: optional(u32), data: u32 };
const messageKeys: ObjectCheck<MsiMessage> = shape<MsiMessage>('a message takes', message);
const irqfdOptions = shape<{ resample?: EventFd }>('assignIrqfd() takes', { resample: optional(instance(EventFd)) });

type RouteOf<T extends GsiRoute['type']> = Extract<GsiRoute, { type: T }>;
const routeTypes: { readonly [T in GsiRoute['type']]: ObjectCheck<RouteOf<T>> } = {
  irqchip: shape<RouteOf<'irqchip'>>('a route to an irqchip takes', {
    type: oneOf(['irqchip']),
    gsi: u32,
    irqchip: oneOf(Object.keys(irqchipIds) as IrqchipName[]),
    pin: integer(0, KVM_IOAPIC_NUM_PINS - 1),
  }),
  msi: shape<RouteOf<'msi'>>('a route of a message takes', { type: oneOf(['msi']), gsi: u32, ...message }),
  hvSint: shape<RouteOf<'hvSint'>>('a route to a SINT takes', {
    type: oneOf(['hvSint']),
    gsi: u32,
    vcpu: u32,
    sint: integer(0, 15),
  }),
};

/** A copy of the route. Throws ArgumentError for one that is none. */
export function checkRoute(route: GsiRoute): GsiRoute {
  const type = checkChoice('type', checkObject('route', route).type, Object.keys(routeTypes) as GsiRoute['type'][]);
  const checked = routeTypes[type].take(route, 'route');
  if (checked.type === 'irqchip' && checked.irqchip !== 'ioapic') checkInteger('pin', checked.pin, 0, 7);
  return checked;
}
