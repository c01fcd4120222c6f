/**
 * QEMU's device for the Hyper-V tests: signals a SINT when it is told to, and makes connections. What it cannot do is a note, where
 * QEMU would abort. Source: QEMU, hw/hyperv/hyperv_testdev.c.
 */
import { SINTS } from '../../abi/hyperv.ts';
import { connectSints, type SintLine } from '../../hyperv/sint-line.ts';
import type { Synic } from '../../hyperv/synic.ts';
import type { GuestMemory } from '../../kvm/guest-memory.ts';
import type { Vm } from '../../kvm/vm/vm.ts';
import type { PortDevice } from './bus.ts';
import { HypervConnections } from './hyperv-connections.ts';

export const HYPERV_TEST = 0x3000;
export const HYPERV_TEST_PORTS = 4;

/** Bits 23:16 of what is written. */
const Control = {
  CREATE_ROUTE: 1,
  DESTROY_ROUTE: 2,
  SIGNAL: 3,
  CONNECT_MESSAGES: 4,
  DISCONNECT_MESSAGES: 5,
  CONNECT_EVENTS: 6,
  DISCONNECT_EVENTS: 7,
} as const;

export interface SynicHost {
  vm: Vm;
  /** By VP index. */
  synics: readonly Synic[];
  memory: GuestMemory;
  /** How long a message may wait for its slot, in ms. */
  limit: number;
}

export class HypervTestDevice implements PortDevice {
  readonly #host: SynicHost;
  readonly #routes = new Map<string, SintLine>();
  readonly connections: HypervConnections;
  /** What it was told that it could not do. */
  readonly notes = new Set<string>();

  constructor(host: SynicHost) {
    this.#host = host;
    this.connections = new HypervConnections(host.memory, host.limit, (why) => this.notes.add(why));
  }

  write(_offset: number, value: number): void {
    const [sint, vp, control, id] = [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24];
    const synic = this.#host.synics[vp];
    const isDone = synic !== undefined && sint < SINTS && this.#do(control, synic, sint, id);
    if (!isDone)
      this.notes.add(`the Hyper-V test device was told ${control} of VP ${vp}, SINT ${sint}, connection ${id}`);
  }

  #do(control: number, synic: Synic, sint: number, id: number): boolean {
    const name = `${synic.vpIndex}:${sint}`;
    const route = this.#routes.get(name);
    switch (control) {
      case Control.CREATE_ROUTE:
        if (!route) this.#routes.set(name, this.#line(synic, sint, false));
        return true;
      case Control.DESTROY_ROUTE:
        route?.close();
        return this.#routes.delete(name);
      case Control.SIGNAL:
        route?.signal();
        return route !== undefined;
      case Control.CONNECT_MESSAGES:
        return this.connections.connectMessages(id, () => this.#line(synic, sint, this.#host.vm.irqchip === 'full'));
      case Control.DISCONNECT_MESSAGES:
        return this.connections.disconnectMessages(id);
      case Control.CONNECT_EVENTS:
        return this.connections.connectEvents(id, () => this.#line(synic, sint, false));
      case Control.DISCONNECT_EVENTS:
        return this.connections.disconnectEvents(id);
      default:
        return false;
    }
  }

  #line(synic: Synic, sint: number, resample: boolean): SintLine {
    return connectSints(this.#host.vm, [{ synic, sint }], { resample })[0];
  }

  async close(): Promise<void> {
    for (const line of this.#routes.values()) line.close();
    await this.connections.close();
  }
}
