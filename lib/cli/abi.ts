import { type DsmProfile, profileByName } from '../abi/dsm/profile.ts';
import { RUN_UNION_OFFSET } from '../abi/kvm-run.ts';
import type { Layout } from '../abi/layout.ts';
import { cNameOf } from '../abi/layout.ts';
import { type ReservedExitName, reservedExitParameters } from '../dsm-exits.ts';
import type { GlobalOptions } from './options.ts';

interface FieldRow {
  name: string;
  type: string;
  /** Bytes from the start of the struct; for an exit, from the start of kvm_run. */
  offset: number;
  size: number;
}

/** `kvm-dsm abi`: the profile's numbers and layouts. */
export async function abi(options: GlobalOptions): Promise<number> {
  const table = tableOf(profileByName(options.profile));
  process.stdout.write(options.json ? `${JSON.stringify(table, null, 2)}\n` : `${textOf(table)}\n`);
  return 0;
}

function tableOf(profile: DsmProfile) {
  return {
    version: 1,
    profile: profile.name,
    title: profile.title,
    exits: Object.entries(profile.exits).map(([name, { reason, payload, emitted, source }]) => ({
      name,
      reason,
      emitted,
      extension: name in reservedExitParameters ? `kvm.${reservedExitParameters[name as ReservedExitName]}` : null,
      source,
      fields: rowsOf(payload as Layout<unknown>, RUN_UNION_OFFSET),
    })),
    ioctls: Object.entries(profile.ioctls).map(([name, { request, argument, source }]) => ({
      name,
      request: `0x${request.toString(16)}`,
      source,
      size: argument.size,
      fields: rowsOf(argument as Layout<unknown>, 0),
    })),
  };
}

function rowsOf(layout: Layout<unknown>, base: number): FieldRow[] {
  const fields = Object.entries(layout.fields as Record<string, Parameters<typeof cNameOf>[1]>);
  return fields.map(([property, field]) => ({
    name: cNameOf(property, field),
    type: field.type,
    offset: base + field.offset,
    size: field.size,
  }));
}

function textOf(table: ReturnType<typeof tableOf>): string {
  const lines = [`profile ${table.profile}: ${table.title}`, '', 'exits (offsets in kvm_run)'];
  for (const { name, reason, emitted, extension, source, fields } of table.exits) {
    const reserved = `  (reserved: the series does not emit it; the lab kernel does with ${extension}=1)`;
    lines.push(`  ${reason}  ${name}${emitted ? '' : reserved}`, `      ${source}`);
    lines.push(...fields.map(rowText));
  }
  lines.push('', 'ioctls on a VM (offsets in the argument)');
  for (const { name, request, size, source, fields } of table.ioctls) {
    lines.push(`  ${request}  ${name}, ${size} bytes`, `      ${source}`, ...fields.map(rowText));
  }
  return lines.join('\n');
}

function rowText({ name, type, offset }: FieldRow): string {
  return `      @${String(offset).padEnd(3)} ${type.padEnd(4)} ${name}`;
}
