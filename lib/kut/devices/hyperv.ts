/** QEMU's device for the Hyper-V tests: it signals a SINT when it is told to. Source: QEMU, hw/hyperv/hyperv_testdev.c. */
import { defaultGsiRouting, type GsiRoute } from '../../abi/kvm/gsi-route.ts';
import type { PortDevice } from './bus.ts';

export const HYPERV_TEST = 0x3000;
export const HYPERV_TEST_PORTS = 4;

/** Of bits 23:16; the others are about connections, which are not here. */
const [CREATE, DESTROY, SIGNAL] = [1, 2, 3];

/** Behind the lines of the IOAPIC. */
const FIRST_GSI = 24;

export interface SintHost {
  setGsiRouting(routes: readonly GsiRoute[]): void;
  irqLine(gsi: number, level: boolean): void;
}

export class HypervTestDevice implements PortDevice {
  readonly #host: SintHost;
  readonly #routes = new Map<string, GsiRoute & { type: 'hvSint' }>();
  /** What it was told that it cannot do. */
  readonly unknown = new Set<number>();

  constructor(host: SintHost) {
    this.#host = host;
  }

  write(_offset: number, value: number): void {
    const [sint, vcpu, control] = [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff];
    const name = `${vcpu}:${sint}`;
    const route = this.#routes.get(name);
    if (control === CREATE && !route) {
      const taken = new Set([...this.#routes.values()].map(({ gsi }) => gsi));
      let gsi = FIRST_GSI;
      while (taken.has(gsi)) gsi += 1;
      this.#routes.set(name, { type: 'hvSint', gsi, vcpu, sint });
      this.#tell();
    } else if (control === DESTROY && route) {
      this.#routes.delete(name);
      this.#tell();
    } else if (control === SIGNAL && route) this.#host.irqLine(route.gsi, true);
    else if (control > SIGNAL) this.unknown.add(control);
  }

  #tell(): void {
    this.#host.setGsiRouting([...defaultGsiRouting(), ...this.#routes.values()]);
  }
}
