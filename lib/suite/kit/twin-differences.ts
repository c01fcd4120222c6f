/** What differs between two states of a vCPU, by register and bit. */
import { isDeepStrictEqual } from 'node:util';
import { KVM_APIC_REG_SIZE, lapicRegisterName } from '../../abi/apic/lapic.ts';
import { hex } from '../../base/text.ts';

/** Of two values, what differs: bits where there are some. */
export function differences(what: string, got: unknown, wanted: unknown): string[] {
  if (isDeepStrictEqual(got, wanted)) return [];
  if (typeof got === 'object' && typeof wanted === 'object' && got !== null && wanted !== null)
    return Object.keys(wanted).flatMap((key) =>
      differences(
        what === '' ? key : `${what}.${key}`,
        (got as Record<string, unknown>)[key],
        (wanted as Record<string, unknown>)[key],
      ),
    );
  const numbers = [got, wanted].every((value) => typeof value === 'number' || typeof value === 'bigint');
  if (!numbers) return [`${what} is ${String(got)}, not ${String(wanted)}`];
  return [`${what} is ${hex(got as number)}, not ${hex(wanted as number)}: ${bitsOf(got, wanted)}`];
}

function bitsOf(got: unknown, wanted: unknown): string {
  const differing = BigInt(got as bigint) ^ BigInt(wanted as bigint);
  const bits = [...differing.toString(2)].reverse().flatMap((bit, at) => (bit === '1' ? at : []));
  return bits.length === 1 ? `bit ${bits[0]}` : `bits ${bits.slice(0, 6).join(', ')}${bits.length > 6 ? ', ...' : ''}`;
}

export function lapicDifferences(got: Uint8Array, wanted: Uint8Array): string[] {
  if (isDeepStrictEqual(got, wanted)) return [];
  const [one, other] = [got, wanted].map((page) => new DataView(page.buffer, page.byteOffset, page.byteLength));
  return Array.from({ length: KVM_APIC_REG_SIZE / 4 }, (_, at) => at * 4).flatMap((offset) =>
    differences(
      `LAPIC ${lapicRegisterName(offset) ?? hex(offset)}`,
      one!.getUint32(offset, true),
      other!.getUint32(offset, true),
    ),
  );
}
