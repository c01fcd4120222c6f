/** Who takes what is sent. SDM: "Determining IPI Destination", "Lowest Priority Delivery Mode". */
import { decodeIcr, decodeX2Icr, type IcrCommand } from '../../abi/apic/icr.ts';
import { type ApicView, apicView, isForEveryone, isNamed } from '../destination.ts';
import { type Ipi, ipiOfMsi } from '../ipi.ts';
import { accept, isEnabled } from './accept.ts';
import type { Draft } from './draft.ts';
import { hashed, hashedInMap, logicalMapOf } from './map.ts';
import type { RuleName } from './rules.ts';
import { modeOf, numberOf, type Processor } from './state.ts';

const view = (processor: Processor, vcpu: number): ApicView => {
  const at = (name: 'ID' | 'LDR' | 'DFR' | 'SVR') => processor.page[numberOf(name)]!;
  const ID = modeOf(processor) === 'x2apic' ? vcpu << 24 : at('ID');
  return apicView(
    vcpu,
    { registers: { ID, LDR: at('LDR'), DFR: at('DFR'), SVR: at('SVR') } },
    BigInt(processor.apicBase),
  );
};

const isLowest = ({ command }: Ipi) => command.deliveryMode === 'lowestPriority';

/** The sets of vCPUs of which one is right: who takes it. The first is what the SDM says where it says one. */
export function takers(draft: Draft, ipi: Ipi): readonly (readonly number[])[] {
  const { command } = ipi;
  if (command.shorthand === 'self') return [[ipi.from as number]];
  const named = draft.state.processors
    .map(view)
    .filter((apic) => apic.mode !== 'disabled' && isNamed(ipi, apic))
    .map(({ vcpu }) => vcpu);
  const enabled = named.filter((vcpu) => isEnabled(draft, vcpu));
  const byId = command.shorthand === 'none' && !isForEveryone(ipi);
  if (isLowest(ipi)) return lowest(draft, ipi, enabled, byId);
  if (command.destinationMode === 'physical' || !byId) return [named];
  // The deviation `logical-to-disabled`.
  const map = logicalMapOf(draft);
  if (map === 'unused') return [[]];
  return [map === 'flat' || map === 'cluster' ? enabled : named];
}

/** Of lowest priority: one of those that are enabled. */
function lowest(
  draft: Draft,
  { command: { vector, destinationMode }, destination, from }: Ipi,
  enabled: readonly number[],
  byId: boolean,
): readonly (readonly number[])[] {
  const physical = destinationMode === 'physical';
  const { hashing } = draft.options;
  // The deviation `lowest-priority-broadcast`; a message's may be by its redirection hint, which stands.
  const isBroadcast = physical && (destination === 0xff || (from === 'host' && destination === 0xffff_ffff));
  const all = isBroadcast && enabled.length > 1 ? [enabled] : [];
  if (!hashing) {
    const one = enabled.length === 0 ? [[]] : enabled.map((vcpu) => [vcpu]);
    // The deviation `lowest-priority-absent`.
    return [...one, ...all, ...(!physical && byId && enabled.length > 0 ? [[]] : [])];
  }
  const map = !physical && byId ? logicalMapOf(draft) : null;
  if (map === 'unused') return [[]];
  return [
    map === null || map === 'off' ? hashed(vector, enabled) : hashedInMap(draft, map, vector, destination),
    ...all,
  ];
}

/** Delivers; true if somebody took it. */
export function send(draft: Draft, ipi: Ipi, rule: RuleName): boolean {
  const sets = takers(draft, ipi);
  const chosen = sets[draft.choices.of(sets.length)]!;
  draft.touch('all', 'taken', rule);
  return chosen.map((vcpu) => accept(draft, vcpu, ipi.command)).some((taken) => taken);
}

function ruleOf({ shorthand, deliveryMode }: IcrCommand): RuleName {
  if (shorthand !== 'none') return 'icr.shorthand';
  if (deliveryMode === 'lowestPriority') return 'icr.lowest';
  return deliveryMode === 'nmi' ? 'icr.nmi' : 'icr.destination';
}

/** A write of the xAPIC's ICR. */
export function sendIcr(draft: Draft, from: number, value: number): void {
  const command = decodeIcr(value);
  draft.icr2Before = draft.get(from, 'ICR2');
  const destination = draft.icr2Before >>> 24;
  send(draft, { from, command, destination, mode: 'xapic', seq: null }, ruleOf(command));
}

export function sendX2Icr(draft: Draft, from: number, low: number, high: number): void {
  const command = decodeX2Icr((BigInt(high) << 32n) | BigInt(low));
  send(draft, { from, command, destination: high, mode: 'x2apic', seq: null }, ruleOf(command));
}

/** KVM_SIGNAL_MSI. A message is always asserted. */
export function sendMsi(draft: Draft, addressLo: number, data: number): boolean {
  const ipi = ipiOfMsi({ addressLo, data });
  const everyone = ipi.destination === 0xff;
  const modes = new Set(draft.state.processors.map(modeOf));
  // Where all are in x2APIC mode, 0xff stands for everyone: the deviation `msi-broadcast`.
  const mode = everyone && modes.has('x2apic') ? 'x2apic' : 'xapic';
  const destination = mode === 'x2apic' ? 0xffff_ffff : ipi.destination;
  return send(draft, { ...ipi, mode, destination, command: { ...ipi.command, level: 'assert' } }, ruleOf(ipi.command));
}
