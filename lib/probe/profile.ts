/** Which profile's numbers and layouts a kernel speaks, found out by what it does. */
import { APIC_DEFAULT_PHYS_BASE, lapicRegisters } from '../abi/apic/lapic.ts';
import { KVM_CAP_X86_DSM } from '../abi/dsm/gvm-main.ts';
import { type DsmProfile, defaultProfile, profiles } from '../abi/dsm/profiles.ts';
import { exitReasonName } from '../abi/kvm/exit-reason.ts';
import { RUN_UNION_OFFSET } from '../abi/kvm/kvm-run.ts';
import { EnvironmentError, IoctlError } from '../base/errors.ts';
import { hex } from '../base/text.ts';
import { write32 } from '../guest/bytes.ts';
import { Kvm } from '../kvm/kvm.ts';
import { askInjection } from './injection.ts';
import { PROBE_DONE_PORT, runTinyGuest, withTinyVm } from './tiny-vm.ts';

/** The profile that a kernel speaks. */
export interface RecognizedProfile {
  /** One of `profiles`. */
  readonly profile: DsmProfile;
  /** What it was told by, for a person. */
  readonly because: string;
}

/** The kernel speaks none of the profiles, as far as its behaviour tells. */
export class UnknownSeriesError extends EnvironmentError {
  readonly code = 'ERR_UNKNOWN_SERIES';
  /** What it did when it was asked, a line each. */
  readonly seen: readonly string[];

  /** @internal */
  constructor(seen: readonly string[]) {
    super(`this kernel speaks none of the profiles ${[...profiles.keys()].join(', ')}:\n  ${seen.join('\n  ')}`, {
      advice: 'Boot a kernel with the series, or name the profile that is meant: --profile <name>.',
    });
    this.seen = seen;
  }
}

/** What a guest's write of ICR2 left in kvm_run: the exit's reason and the first four words of its payload. */
interface SeenWrite {
  reason: number;
  words: readonly number[];
}

/** Written to ICR2, which sends nothing: destination 0x5a. */
const DESTINATION = 0x5a;
const WRITTEN = DESTINATION * 2 ** 24;
/** Lies where dest_id does before the guest runs: a kernel without that field leaves it. */
const UNTOUCHED = 0x5eed_5eed;

/**
 * Finds out by behaviour which profile this kernel speaks: which exit a guest's ICR2 write makes and with what payload, in
 * a VM that asks for nothing and in one that opts in; which ioctls and which capabilities are known.
 *
 * @throws UnknownSeriesError with what was seen, if that is no profile's; what `Kvm.open` throws
 */
export function recognizeProfile(device = '/dev/kvm'): RecognizedProfile {
  const all = [...profiles.values()];
  const seen: string[] = [];
  using kvm = Kvm.open(device, { profile: defaultProfile });
  for (const profile of all) {
    const { optIn } = profile;
    const bits = optIn ? kvm.checkExtension(optIn.capability) : 0;
    if (!optIn || bits === 0) continue;
    using asking = Kvm.open(device, { profile });
    const write = writeIn(asking);
    const what = `${optIn.name} (${optIn.capability}) is ${hex(bits)}, and ${wordsOf(write, 'a VM that opted in')}`;
    seen.push(what);
    if (speaks(profile, write)) return { profile, because: what };
  }
  const write = writeIn(kvm);
  seen.push(wordsOf(write, 'a VM that asks for nothing'));
  const plain = all.filter(({ optIn }) => !optIn);
  const others = knownOthers(kvm, all, seen);
  const byExit = plain.filter((profile) => speaks(profile, write));
  const found =
    chosen(byExit, others) ?? (write === null ? chosen(plain.filter(injects(kvm, seen)), others) : undefined);
  seen.push(`KVM_CAP_X86_DSM (${KVM_CAP_X86_DSM}) is ${kvm.checkExtension(KVM_CAP_X86_DSM)}`);
  if (found) return { profile: found, because: seen.join('; ') };
  throw new UnknownSeriesError(seen);
}

/** `null`: no exit came of the write. */
function writeIn(kvm: Kvm): SeenWrite | null {
  return withTinyVm(kvm, { pages: 2, inhibit: true }, (_vm, vcpu, memory) => {
    vcpu.kvmRun.setUint32(RUN_UNION_OFFSET + 12, UNTOUCHED, true);
    const icr2 = APIC_DEFAULT_PHYS_BASE + lapicRegisters.ICR2;
    const exit = runTinyGuest(vcpu, memory, [write32(icr2, WRITTEN)]);
    if (exit.name === 'KVM_EXIT_IO' && exit.port === PROBE_DONE_PORT) return null;
    const words = [0, 4, 8, 12].map((at) => vcpu.kvmRun.getUint32(RUN_UNION_OFFSET + at, true));
    return { reason: exit.reason, words };
  });
}

function speaks({ exits }: DsmProfile, write: SeenWrite | null): boolean {
  const { reason, payload } = exits.KVM_EXIT_DSM_SEND_IRQ;
  if (write?.reason !== reason) return false;
  const [id, val, val2, destId] = write.words;
  const isWrite = id === 0 && val === lapicRegisters.ICR2 && val2 === WRITTEN;
  return isWrite && ('destId' in payload.fields ? destId === DESTINATION : destId !== DESTINATION);
}

function wordsOf(write: SeenWrite | null, where: string): string {
  if (write === null) return `no exit comes of a write of ICR2 in ${where}`;
  const words = write.words.map((word) => (word === UNTOUCHED ? 'nothing' : hex(word)));
  const mainline = exitReasonName(write.reason);
  const named = mainline ? ` (${mainline} in mainline)` : '';
  return `a write of ICR2 = ${hex(WRITTEN)} makes exit ${write.reason}${named} with ${words.join(', ')} in ${where}`;
}

/** Those of the ioctls that tell profiles apart which the kernel knows. */
function knownOthers(kvm: Kvm, all: readonly DsmProfile[], seen: string[]): ReadonlySet<number> {
  using vm = kvm.createVm();
  const requests = new Map(
    all.flatMap(({ others = {} }) => Object.entries(others).map(([name, { request }]) => [request, name] as const)),
  );
  const known = new Set<number>();
  for (const [request, name] of requests) {
    try {
      vm.ioctlRaw(request, new Uint8Array((request >>> 16) & 0x3fff));
      known.add(request);
    } catch (error) {
      if (!(error instanceof IoctlError)) throw error;
      if (error.errnoName !== 'ENOTTY') known.add(request);
    }
    seen.push(`${name} (${hex(request)}) is ${known.has(request) ? 'known' : 'not known'}`);
  }
  return known;
}

/** Whose injection ioctl the kernel knows. */
function injects(kvm: Kvm, seen: string[]): (profile: DsmProfile) => boolean {
  const answers = new Map<number, boolean>();
  return (profile) => {
    const { request } = profile.ioctls.KVM_DSM_IPI;
    const known = answers.get(request) ?? askInjection(kvm, 'KVM_DSM_IPI', profile).known;
    if (!answers.has(request)) seen.push(`KVM_DSM_IPI (${hex(request)}) is ${known ? 'known' : 'not known'}`);
    answers.set(request, known);
    return known;
  };
}

/** Of several that speak alike, the one all of whose further ioctls are known, else the one that has none. */
function chosen(candidates: readonly DsmProfile[], known: ReadonlySet<number>): DsmProfile | undefined {
  const requests = ({ others = {} }: DsmProfile) => Object.values(others).map(({ request }) => request);
  const whole = candidates.find(
    (one) => requests(one).length > 0 && requests(one).every((request) => known.has(request)),
  );
  return whole ?? candidates.find((one) => requests(one).length === 0) ?? candidates[0];
}
