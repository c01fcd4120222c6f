/** From kvm_run to one `Exit`: every exit of KVM on x86, DSM's by profile. */
import { checkProfile, type DsmExitName, type DsmProfile, defaultProfile } from '../abi/dsm/profiles.ts';
import { exitReasons } from '../abi/kvm/exit-reason.ts';
import { KvmRunView } from '../abi/kvm/kvm-run.ts';
import { dsmExits } from './dsm.ts';
import type { Exit } from './exit.ts';
import { unrecognized } from './foreign.ts';
import { mainlineExits } from './kinds.ts';

type Decoder = (view: DataView, reason: number) => Exit;

/** The decoders of a profile: its own go before mainline's. */
class Decoders {
  /** By number, as far as numbers are small: an array is faster than a map. */
  readonly #small: Decoder[] = new Array(256).fill(unrecognized.decode);
  readonly #large = new Map<number, Decoder>();

  constructor({ exits }: DsmProfile) {
    for (const [name, { decode }] of Object.entries(mainlineExits))
      this.#set(exitReasons[name as keyof typeof exitReasons], decode as Decoder);
    for (const [name, { reason, payload }] of Object.entries(exits))
      if (Object.hasOwn(dsmExits, name)) this.#set(reason, dsmExits[name as DsmExitName].decoder(payload as never));
  }

  #set(reason: number, decoder: Decoder): void {
    if (reason < this.#small.length) this.#small[reason] = decoder;
    else this.#large.set(reason, decoder);
  }

  decode(view: DataView, reason: number): Exit {
    const decoder = this.#small[reason] ?? this.#large.get(reason) ?? unrecognized.decode;
    return decoder(view, reason);
  }
}

const ofProfile = new WeakMap<DsmProfile, Decoders>();

function decodersOf(profile: DsmProfile): Decoders {
  const known = ofProfile.get(profile);
  if (known) return known;
  const decoders = new Decoders(checkProfile(profile));
  ofProfile.set(profile, decoders);
  return decoders;
}

let current = defaultProfile;
let decoders = decodersOf(current);

/**
 * Decodes the exit that lies in a vCPU's mapping. What it returns is a copy: the next KVM_RUN does not change it. A
 * number of the profile goes before one of mainline. Nothing in the mapping makes it throw; a view that ends before
 * kvm_run's union does (288 bytes) is an ArgumentError.
 */
export function decodeExit(run: DataView, profile?: DsmProfile): Exit;
/** @internal */
export function decodeExit(run: DataView | KvmRunView, profile?: DsmProfile): Exit;
export function decodeExit(run: DataView | KvmRunView, profile: DsmProfile = defaultProfile): Exit {
  if (profile !== current) {
    decoders = decodersOf(profile);
    current = profile;
  }
  const { view, exitReason } = run instanceof KvmRunView ? run : new KvmRunView(run);
  return decoders.decode(view, exitReason);
}
