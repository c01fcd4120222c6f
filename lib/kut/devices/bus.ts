/** Who answers at which port. */

export interface PortDevice {
  /** What a read of so many bytes gives; default: all ones. */
  read?(offset: number, size: number): number;
  write?(offset: number, value: number, size: number): void;
}

interface Place {
  first: number;
  count: number;
  device: PortDevice;
}

export class PortBus {
  readonly #places: Place[] = [];

  /** Gives a device the ports from `first` on; it is told offsets. */
  attach(first: number, count: number, device: PortDevice): void {
    this.#places.push({ first, count, device });
  }

  #at(port: number): Place | undefined {
    return this.#places.find(({ first, count }) => port >= first && port < first + count);
  }

  /** Nobody there: all ones, as on a bus that nothing drives. */
  read(port: number, size: number): number {
    const place = this.#at(port);
    const ones = 2 ** (size * 8) - 1;
    return ((place?.device.read?.(port - place.first, size) ?? ones) & ones) >>> 0;
  }

  write(port: number, value: number, size: number): void {
    const place = this.#at(port);
    place?.device.write?.(port - place.first, value, size);
  }
}
