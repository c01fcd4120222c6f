/** Which machine of the lab this process is in, and what to heed there: the lab tells it in the environment. */
import type { Environment } from '../base/node-shapes.ts';

/** What of a lane's emulator the programs inside have to heed. */
export interface LaneQuirks {
  /** Why KVM_GUESTDBG_SINGLESTEP gets no guest on; `null` where it does. */
  readonly stepsBeforeFirst: string | null;
  /** WebAssembly that V8 compiles anew while it runs may crash node. */
  readonly wasmTierBreaks: boolean;
  /** Words of a line by which a sound kernel reports what it finds strange about this machine while it boots. */
  readonly bootReport: string | null;
}

/** What a machine of the lab knows of itself. */
export interface LaneFacts {
  /** What `--on` takes. */
  readonly name: string;
  /** In words, for a person. */
  readonly title: string;
  /** The PCI function that nothing in the machine uses and VFIO may have; it may still be missing. */
  readonly vfioFunction: { readonly vendor: number; readonly device: number } | null;
  readonly quirks: LaneQuirks;
}

/** The environment of every process inside. */
export function laneEnvironment({ name, title, vfioFunction, quirks }: LaneFacts): Record<string, string> {
  return { KVM_DSM_LANE: name, KVM_DSM_LANE_FACTS: JSON.stringify({ title, vfioFunction, quirks }) };
}

/** The machine of the lab that this process is in; `null` on a host. */
export const laneHere: LaneFacts | null = readLane(process.env);

/** What such an environment tells. */
export function readLane({ KVM_DSM_LANE: name, KVM_DSM_LANE_FACTS: facts }: Environment): LaneFacts | null {
  if (name === undefined) return null;
  if (facts !== undefined) return { name, ...(JSON.parse(facts) as Omit<LaneFacts, 'name'>) };
  const quirks = { stepsBeforeFirst: null, wasmTierBreaks: false, bootReport: null };
  return { name, title: `the ${name} lab`, vfioFunction: null, quirks };
}
