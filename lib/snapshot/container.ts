/**
 * The buffer of a saved machine: a head, then sections. Little endian.
 *
 * head, 64 bytes: "KVMDSMST", u32 version, u32 number of sections, u64 length of the whole buffer, 8 bytes zero, SHA-256 of
 * everything after the head. A section: u32 kind, u32 index (a vcpu_id, a chip, a memory), u64 length of its body, body.
 */
import { createRequire } from 'node:module';
import { StateFormatError, StateVersionError } from './errors.ts';

/** The version that this package writes: 2 has the MSRs that KVM_GET_MSR_INDEX_LIST does not name as well. */
export const STATE_VERSION = 2;
/** The oldest that it reads. */
const STATE_VERSION_READ = 1;

const MAGIC = 'KVMDSMST';
const HEAD = 64;
const DIGEST_AT = 32;
const SECTION_HEAD = 16;

/** What a section's body is. Numbers are part of the format: never change one. */
export const sectionKinds = {
  config: 1,
  memory: 2,
  irqchip: 3,
  pit2: 4,
  clock: 5,
  mpState: 16,
  regs: 17,
  sregs: 18,
  sregs2: 19,
  xsave: 20,
  xcrs: 21,
  lapic: 22,
  events: 23,
  debugregs: 24,
  cpuid2: 25,
  msrs: 26,
  fpu: 27,
} as const;
export type SectionKind = keyof typeof sectionKinds;

export interface Section {
  kind: SectionKind;
  index: number;
  body: Uint8Array;
}

const kindsByNumber = new Map<number, SectionKind>(
  Object.entries(sectionKinds).map(([kind, number]) => [number, kind as SectionKind]),
);

/** One buffer of the sections. */
export function packSections(sections: readonly Section[]): Uint8Array<ArrayBuffer> {
  const length = sections.reduce((sum, { body }) => sum + SECTION_HEAD + body.length, HEAD);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let at = HEAD;
  for (const { kind, index, body } of sections) {
    view.setUint32(at, sectionKinds[kind], true);
    view.setUint32(at + 4, index, true);
    view.setBigUint64(at + 8, BigInt(body.length), true);
    bytes.set(body, at + SECTION_HEAD);
    at += SECTION_HEAD + body.length;
  }
  bytes.set(new TextEncoder().encode(MAGIC));
  view.setUint32(8, STATE_VERSION, true);
  view.setUint32(12, sections.length, true);
  view.setBigUint64(16, BigInt(length), true);
  bytes.set(digest(bytes), DIGEST_AT);
  return bytes;
}

/** The sections of a buffer. Throws StateFormatError, StateVersionError. */
export function unpackSections(bytes: Uint8Array): Section[] {
  if (!(bytes instanceof Uint8Array)) throw new StateFormatError('it is no Uint8Array');
  if (bytes.length < HEAD) throw new StateFormatError(`it has ${bytes.length} bytes, its head alone has ${HEAD}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (new TextDecoder('latin1').decode(bytes.subarray(0, 8)) !== MAGIC)
    throw new StateFormatError('it does not begin with KVMDSMST');
  const version = view.getUint32(8, true);
  if (version < STATE_VERSION_READ || version > STATE_VERSION)
    throw new StateVersionError(version, `${STATE_VERSION_READ} to ${STATE_VERSION}`);
  const length = view.getBigUint64(16, true);
  if (length !== BigInt(bytes.length))
    throw new StateFormatError(`it has ${bytes.length} bytes, its head says ${length}`);
  if (!digest(bytes).every((byte, index) => byte === bytes[DIGEST_AT + index]))
    throw new StateFormatError('its checksum is wrong');

  const sections: Section[] = [];
  let at = HEAD;
  while (at < bytes.length) {
    if (at + SECTION_HEAD > bytes.length) throw new StateFormatError(`a section's head is cut off at byte ${at}`);
    const kind = kindsByNumber.get(view.getUint32(at, true));
    const size = view.getBigUint64(at + 8, true);
    const start = at + SECTION_HEAD;
    if (kind === undefined) throw new StateFormatError(`the section at byte ${at} is of an unknown kind`);
    if (size > BigInt(bytes.length - start)) throw new StateFormatError(`the section at byte ${at} is cut off`);
    const end = start + Number(size);
    sections.push({ kind, index: view.getUint32(at + 4, true), body: bytes.subarray(start, end) });
    at = end;
  }
  const count = view.getUint32(12, true);
  if (sections.length !== count)
    throw new StateFormatError(`it has ${sections.length} sections, its head says ${count}`);
  return sections;
}

function digest(bytes: Uint8Array): Uint8Array {
  // Of all modules of node that the kit needs the longest to load, and most scripts save nothing.
  const { createHash } = createRequire(import.meta.url)('node:crypto') as typeof import('node:crypto');
  return createHash('sha256').update(bytes.subarray(HEAD)).digest();
}
