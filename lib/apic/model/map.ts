/**
 * The map of ids that KVM keeps, and sends by where it can: kvm_recalculate_apic_map and kvm_apic_map_get_dest_lapic in lapic.c. It
 * decides who takes what the SDM leaves open: the deviations `logical-to-disabled` and `lowest-priority-absent`.
 */
import { SVR_ENABLE } from '../../abi/apic/lapic.ts';
import type { Draft } from './draft.ts';
import { numberOf } from './state.ts';

/** How logical ids are looked up. `unused`: every APIC is software-disabled. `off`: two are in the way of each other. */
type LogicalMap = 'unused' | 'off' | 'flat' | 'cluster' | 'x2apic';

/** The map as it is now; `null`: two APICs have the same id, and KVM asks each one. */
export function logicalMapOf(draft: Draft): LogicalMap | null {
  const ids = new Set<number>();
  const logicalIds = new Set<number>();
  let mode: LogicalMap = 'unused';
  for (let vcpu = 0; vcpu < draft.state.processors.length; vcpu++) {
    const apicMode = draft.mode(vcpu);
    if (apicMode === 'disabled') continue;
    const id = apicMode === 'x2apic' ? vcpu : draft.get(vcpu, 'ID') >>> 24;
    if (ids.has(id)) return null;
    ids.add(id);
    const ldr = draft.get(vcpu, 'LDR');
    if (mode === 'off' || (draft.get(vcpu, 'SVR') & SVR_ENABLE) === 0 || ldr === 0) continue;
    const flat = draft.get(vcpu, 'DFR') === 0xffff_ffff;
    const own = apicMode === 'x2apic' ? 'x2apic' : flat ? 'flat' : 'cluster';
    if (mode !== 'unused' && mode !== own) mode = 'off';
    else {
      mode = own;
      if (own !== 'x2apic' && !enter(logicalIds, ldr >>> 24, flat)) mode = 'off';
    }
  }
  return mode;
}

/** False: it has several bits, or another APIC has the same. */
function enter(logicalIds: Set<number>, logicalId: number, flat: boolean): boolean {
  const member = flat ? logicalId : logicalId & 0xf;
  if (member === 0) return true;
  if ((member & (member - 1)) !== 0 || logicalIds.has(logicalId)) return false;
  logicalIds.add(logicalId);
  return true;
}

/** With kvm.vector_hashing: the one of a list that takes a vector of lowest priority. */
export const hashed = <T>(vector: number, among: readonly T[]): readonly T[] =>
  among.length === 0 ? [] : [among[vector % among.length]!];

/** The same by a logical destination: its bits are counted, whoever has them, and some may be nobody's. */
export function hashedInMap(draft: Draft, map: LogicalMap, vector: number, destination: number): readonly number[] {
  const width = map === 'x2apic' ? 16 : map === 'flat' ? 8 : 4;
  const bits = Array.from({ length: width }, (_, bit) => 1 << bit).filter((bit) => (destination & bit) !== 0);
  return hashed(vector, bits).flatMap((bit) => {
    const wanted = ((destination & ~(2 ** width - 1)) | bit) >>> 0;
    return draft.state.processors.flatMap(({ page }, vcpu) => {
      if (draft.mode(vcpu) !== (map === 'x2apic' ? 'x2apic' : 'xapic')) return [];
      const ldr = page[numberOf('LDR')]!;
      return (map === 'x2apic' ? ldr : ldr >>> 24) === wanted && isIn(draft, map, vcpu) ? [vcpu] : [];
    });
  });
}

/** In x2APIC mode a software-disabled APIC is found by its id, too. */
const isIn = (draft: Draft, map: LogicalMap, vcpu: number) =>
  map === 'x2apic' || (draft.get(vcpu, 'SVR') & SVR_ENABLE) !== 0;
