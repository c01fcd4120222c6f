/** A record of the exit log as the addon stores it, wherever its bytes lie: where the addon has put them, or where they were sent. */
import type { DsmProfile } from '../../../abi/dsm/profiles.ts';
import { exitReasons } from '../../../abi/kvm/exit-reason.ts';
import { RUN_UNION_OFFSET, RUN_UNION_SIZE } from '../../../abi/kvm/kvm-run.ts';
import { decodeExit } from '../../../exit/decode.ts';
import { forwardsIpiAt } from '../../../exit/dsm.ts';
import type { Exit } from '../../../exit/exit.ts';
import { decodeIo, decodeMmio, runIo } from '../../../exit/io.ts';
import type { VmAct } from '../../vm/acts.ts';

/** struct LogRecord: ns u64, rip u64, rcx u32 or KVM_SIGNAL_MSI's answer, state u32, payload; and bits of the state. */
export const RECORD_BYTES = 64;
const RCX = 16;
const STATE = 20;
const PAYLOAD = 24;
export const PAYLOAD_BYTES = RECORD_BYTES - PAYLOAD;
const PARKED = 1 << 30;

/** What stands for the vCPU where the record is of a message. */
const MESSAGE = 0xff;

/** What is known of a record: nothing yet; all of its exit; that somebody is to look at it; or that it is of a message. */
export type RecordState = 'empty' | 'whole' | 'parked' | 'message';

/** Of the record that begins there. */
export function stateAt(view: DataView, at: number): RecordState {
  const state = view.getInt32(at + STATE, true);
  if (state >= 0) return 'empty';
  if (state & PARKED) return 'parked';
  return view.getUint8(at + STATE + 2) === MESSAGE ? 'message' : 'whole';
}

/** CLOCK_MONOTONIC in nanoseconds. */
export const nsAt = (view: DataView, at: number): number =>
  view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;

/** Takes the times out of records that stand one behind the other. */
export function clearTimes(records: Uint8Array): void {
  for (let at = 0; at < records.length; at += RECORD_BYTES) records.fill(0, at, at + 8);
}

/** Of a record of a message. */
export function messageAt(view: DataView, at: number): Extract<VmAct, { ioctl: 'KVM_SIGNAL_MSI' }> {
  const [addressLo, addressHi, data] = [0, 4, 8].map((word) => view.getUint32(at + PAYLOAD + word, true));
  const message = { addressLo: addressLo!, addressHi: addressHi!, data: data! };
  return { ioctl: 'KVM_SIGNAL_MSI', message, delivered: view.getInt32(at + RCX, true) > 0 };
}

/** Of a record of an exit, as all below. */
export const vcpuAt = (view: DataView, at: number): number => view.getUint8(at + STATE + 2);

export const ripAt = (view: DataView, at: number): bigint => view.getBigUint64(at + 8, true);

/** Its low half. */
export const rcxAt = (view: DataView, at: number): number => view.getUint32(at + RCX, true);

/** Decodes what exits records have. */
export class RecordDecoder {
  readonly #profile: DsmProfile;
  readonly #forwards: ReturnType<typeof forwardsIpiAt>;
  /** kvm_run as decodeExit wants it, made again for each record that is decoded so. */
  readonly #run = new DataView(new ArrayBuffer(RUN_UNION_OFFSET + RUN_UNION_SIZE));

  constructor(profile: DsmProfile) {
    this.#profile = profile;
    this.#forwards = forwardsIpiAt(profile);
  }

  /** Whether it forwards an IPI, or a half of one; not decoded. */
  forwardsAt(view: DataView, at: number): boolean {
    return this.#forwards(view, at + PAYLOAD, view.getUint16(at + STATE, true));
  }

  /** The exit, decoded: a copy. Of one that is parked as much as a record has room for. */
  exitAt(view: DataView, at: number): Exit {
    const reason = view.getUint16(at + STATE, true);
    const payload = at + PAYLOAD;
    if (reason === exitReasons.KVM_EXIT_IO) return decodeIo(view, reason, payload, payload + runIo.size);
    if (reason === exitReasons.KVM_EXIT_MMIO) return decodeMmio(view, reason, payload);
    this.#run.setUint32(8, reason, true);
    for (let byte = 0; byte < PAYLOAD_BYTES; byte += 4)
      this.#run.setUint32(RUN_UNION_OFFSET + byte, view.getUint32(payload + byte, true), true);
    return decodeExit(this.#run, this.#profile);
  }
}
