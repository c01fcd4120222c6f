/** The series: its exits and ioctls, and what the kernel says to each. */
import { type DsmIoctlName, type DsmProfile, optInWords } from '../abi/dsm/profiles.ts';
import { RUN_UNION_OFFSET } from '../abi/kvm/kvm-run.ts';
import type { Layout } from '../abi/layout.ts';
import { UnsupportedError } from '../base/errors.ts';
import type { Kvm } from '../kvm/kvm.ts';
import { probeIcrWrite } from '../probe/icr-write.ts';
import { askInjection } from '../probe/injection.ts';
import { type ReservedExitName, reservedExitParameters, reservedExits } from '../probe/reserved-exits.ts';
import type { AskedKvm } from './asked-kvm.ts';
import { type AbiEntry, type AbiSection, layoutOf } from './section.ts';

/** The series: its exits, and the ioctls of its injection side. */
export function dsmSection(profile: DsmProfile): AbiSection {
  return {
    name: 'dsm',
    title: 'DSM interrupt forwarding',
    architecture: 'x64',
    entries: [
      ...optInEntries(profile),
      ...Object.entries(profile.exits).map(([name, { reason, payload, source, emitted }]): AbiEntry => {
        const isReserved = !emitted && Object.hasOwn(reservedExitParameters, name);
        const isSent = name === 'KVM_EXIT_DSM_SEND_IRQ';
        const unasked = profile.optIn ? `${profile.optIn.name} says what it makes` : 'nothing makes it here';
        return {
          kind: 'exit',
          name,
          number: reason,
          source,
          ...(isReserved && { note: reserved(name as ReservedExitName) }),
          ...layoutOf(payload as Layout<unknown>, RUN_UNION_OFFSET),
          ask: isSent ? askForwarding : isReserved ? () => askReserved(name as ReservedExitName) : unasked,
        };
      }),
      ...Object.entries(profile.ioctls).map(
        ([name, { request, argument, source }]): AbiEntry => ({
          kind: 'ioctl',
          name,
          number: request,
          source,
          ...layoutOf(argument as Layout<unknown>),
          ask: ({ kvm }) => answerTo(kvm, name as DsmIoctlName),
        }),
      ),
    ],
  };
}

/** The capability by which a VM asks for the exits. */
function optInEntries({ optIn }: DsmProfile): AbiEntry[] {
  if (!optIn) return [];
  const { name, capability, bits, source } = optIn;
  const words = Object.entries(bits).map(([bit, value]) => `${bit} ${value}`);
  return [
    {
      kind: 'capability',
      name,
      number: capability,
      source,
      note: `args[0]: ${words.join(', ')}`,
      ask: ({ kvm }) => {
        const offered = kvm.checkExtension(capability);
        return offered > 0 ? `${offered}: offered, ${optInWords(optIn, offered)}` : '0: not offered';
      },
    },
  ];
}

/** The lab kernel's extension of the series, which makes the reserved exits. */
export function reservedExitsSection(): AbiSection {
  return {
    name: 'dsm-exits',
    title: "the lab kernel's extension",
    architecture: 'x64',
    entries: Object.entries(reservedExitParameters).map(([exit, parameter]) => ({
      kind: 'parameter',
      name: `kvm.${parameter}`,
      number: null,
      source: 'kernel/rfc-v2/arch/x86/kvm/dsm_exit.c, CONFIG_KVM_DSM_EXIT',
      note: `makes ${exit} in the VMs that are created while it is Y`,
      ask: () => {
        const states = reservedExits();
        if (states === null) return 'it has no such parameter';
        return states[exit as ReservedExitName] ? 'Y' : 'N';
      },
    })),
  };
}

const parameterOf = (name: ReservedExitName) => `kvm.${reservedExitParameters[name]}`;

const reserved = (name: ReservedExitName) =>
  `reserved: the series does not make it; the lab kernel does with ${parameterOf(name)}=1`;

function askForwarding({ kvm }: AskedKvm): string {
  const { outcome, exit } = probeIcrWrite(kvm);
  if (outcome === 'failed') throw new UnsupportedError(exit, 'A guest of two instructions');
  return outcome === 'forwarded' ? 'made: a guest wrote ICR2' : 'not made: a guest wrote ICR2, and nothing came out';
}

function askReserved(name: ReservedExitName): string {
  const states = reservedExits();
  const parameter = parameterOf(name);
  if (states === null) return `not looked for: it has no ${parameter}`;
  return states[name] ? `made: ${parameter} is Y` : `not made: ${parameter} is N`;
}

/** It is asked for in a VM of its own. */
function answerTo(kvm: Kvm, ioctl: DsmIoctlName): string {
  const { answers, known } = askInjection(kvm, ioctl);
  const told = [...new Set(answers)].join(' and ');
  return known ? `known: it answers ${told}` : `${told}: it does not know it`;
}
