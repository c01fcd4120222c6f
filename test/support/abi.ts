import assert from 'node:assert/strict';
import type { Answer, FieldRow } from '../../lib/inspect/index.ts';
import { kvmDsm } from './command.ts';

export interface AbiEntry {
  kind: string;
  name: string;
  number: number | string | null;
  source: string;
  note: string | null;
  size: number | null;
  fields: FieldRow[];
  answer: Answer;
}

export interface AbiDocument {
  version: number;
  profile: string;
  title: string;
  on: string;
  kernel: string;
  exits: {
    name: string;
    reason: number;
    emitted: boolean;
    extension: string | null;
    source: string;
    fields: FieldRow[];
    answer: Answer;
  }[];
  ioctls: { name: string; request: string; source: string; size: number; fields: FieldRow[]; answer: Answer }[];
  sections: { name: string; title: string; architecture: string; entries: AbiEntry[] }[];
}

/** `kvm-dsm abi --json`. It ends with 0, whatever there is to ask. */
export function abiDocument(args: readonly string[] = [], wrapper: readonly string[] = []): AbiDocument {
  const { code, stdout, stderr } = kvmDsm(['abi', '--json', ...args], 300, wrapper);
  assert.equal(code, 0, stdout + stderr);
  return JSON.parse(stdout) as AbiDocument;
}

/** Every entry of a document. */
export function entriesOf({ sections }: AbiDocument): AbiEntry[] {
  return sections.flatMap(({ entries }) => entries);
}

/** What the kernel said to each entry that it was asked about, by name. */
export function answersOf(document: AbiDocument): Record<string, string> {
  return Object.fromEntries(
    entriesOf(document).flatMap(({ name, answer }) => (answer.asked ? [[name, answer.answer]] : [])),
  );
}
