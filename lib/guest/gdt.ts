/** One GDT for every mode. Source: Intel SDM volume 3, "Protected-Mode Memory Management", segment descriptors. */
import type { KvmSegment } from '../abi/kvm/index.ts';

/** Selectors. */
export const CODE32 = 0x08;
export const DATA = 0x10;
export const CODE64 = 0x18;

const descriptors = [
  0n,
  0x00cf_9b00_0000_ffffn, // 32-bit code, 4 GiB from 0
  0x00cf_9300_0000_ffffn, // data, 4 GiB from 0
  0x00af_9b00_0000_ffffn, // 64-bit code
];

/** Bytes of the GDT. */
export const GDT_SIZE = descriptors.length * 8;

export function gdtBytes(): Uint8Array {
  return new Uint8Array(BigUint64Array.from(descriptors).buffer);
}

/** What a segment register holds after a load of CODE32 or CODE64. `type` 11: code, execute and read, accessed. */
export function codeSegment(bits: 32 | 64): KvmSegment {
  const long = bits === 64;
  return { ...flat, selector: long ? CODE64 : CODE32, type: 11, db: long ? 0 : 1, l: long ? 1 : 0 };
}

/** What a segment register holds after a load of DATA. `type` 3: data, read and write, accessed. */
export function dataSegment(): KvmSegment {
  return { ...flat, selector: DATA, type: 3 };
}

const flat: KvmSegment = {
  base: 0n,
  limit: 0xffff_ffff,
  selector: 0,
  type: 0,
  present: 1,
  dpl: 0,
  db: 1,
  s: 1,
  l: 0,
  g: 1,
  avl: 0,
  unusable: 0,
};
