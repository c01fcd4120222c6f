/** What a section of `kvm-dsm abi` is made of. */
import { cNameOf, type Field, type Layout } from '../abi/layout.ts';
import type { AskedKvm } from './asked-kvm.ts';

/** What the running kernel says to an entry, in words; or why it was not asked. */
export type Answer = { asked: true; answer: string } | { asked: false; why: string };

export type EntryKind =
  | 'exit'
  | 'ioctl'
  | 'capability'
  | 'parameter'
  | 'route'
  | 'msr'
  | 'device'
  | 'group'
  | 'attribute'
  | 'layout';

/** A field of a struct. */
export interface FieldRow {
  name: string;
  type: string;
  /** Bytes from the start of the struct; for an exit, from the start of kvm_run. */
  offset: number;
  size: number;
}

/** One number, or one layout. */
export interface AbiEntry {
  kind: EntryKind;
  /** The kernel's name. */
  name: string;
  /** `null` for what has none: a layout, a module parameter. */
  number: number | null;
  /** Where the number and the layout come from. */
  source: string;
  /** What else there is to know about it. */
  note?: string;
  /** Bytes of the layout. */
  size?: number;
  fields?: FieldRow[];
  /**
   * Asks the kernel, by what changes nothing but a VM made for it, and says what it answered. Text: why it is not asked.
   * May throw KvmDsmError: it was not found out.
   */
  ask: ((asked: AskedKvm) => string) | string;
}

/** The numbers and layouts of one system. */
export interface AbiSection {
  /** One word. */
  name: string;
  /** One line for people. */
  title: string;
  /** Where the numbers mean this, as `process.arch` spells it. */
  architecture: 'x64' | 'arm64';
  entries: readonly AbiEntry[];
}

/** What an entry has of a layout. `base`: where the struct starts, in bytes. */
export function layoutOf<T>(layout: Layout<T>, base = 0): { size: number; fields: FieldRow[] } {
  const fields = Object.entries(layout.fields as Record<string, Field<unknown>>);
  return {
    size: layout.size,
    fields: fields.map(([property, field]) => ({
      name: cNameOf(property, field),
      type: field.count === null ? field.type : `${field.type}[${field.count}]`,
      offset: base + field.offset,
      size: field.size,
    })),
  };
}

/** For `ask`: nothing that a kernel could be asked about. */
export const LAYOUT = 'it is a layout';
