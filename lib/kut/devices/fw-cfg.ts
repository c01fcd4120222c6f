/** QEMU's fw_cfg by ports: what an image asks for the number of CPUs and the size of memory. Source: QEMU, docs/specs/fw_cfg.rst. */
import type { PortDevice } from './bus.ts';

export const FW_CFG = 0x510;
export const FW_CFG_PORTS = 2;

const keys = { signature: 0x00, id: 0x01, ramSize: 0x03, cpus: 0x05, maxCpus: 0x0f } as const;

/** The interface by ports, without DMA. */
const TRADITIONAL = 1;

export class FwCfg implements PortDevice {
  readonly #items: ReadonlyMap<number, Buffer>;
  #item: Buffer = Buffer.alloc(0);
  #at = 0;

  /** @param memory in bytes */
  constructor({ cpus, memory }: { cpus: number; memory: number }) {
    const number = (value: number, bytes: number) => {
      const item = Buffer.alloc(8);
      item.writeBigUInt64LE(BigInt(value));
      return item.subarray(0, bytes);
    };
    this.#items = new Map([
      [keys.signature, Buffer.from('QEMU')],
      [keys.id, number(TRADITIONAL, 4)],
      [keys.ramSize, number(memory, 8)],
      [keys.cpus, number(cpus, 2)],
      [keys.maxCpus, number(cpus, 2)],
    ]);
  }

  /** Beyond an item's end there are zeros. */
  read(offset: number, size: number): number {
    if (offset === 0) return 0;
    let value = 0;
    for (let byte = 0; byte < size; byte++) value += (this.#item[this.#at++] ?? 0) * 2 ** (8 * byte);
    return value;
  }

  write(offset: number, value: number): void {
    if (offset !== 0) return;
    this.#item = this.#items.get(value & 0xffff) ?? Buffer.alloc(0);
    this.#at = 0;
  }
}
