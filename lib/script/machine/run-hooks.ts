/** What a run of vCPUs, on this thread or on theirs, asks of the machine that it belongs to. */
import type { RunBudget } from '../../base/budget.ts';
import type { Exit } from '../../exit/exit.ts';
import type { ExitLog } from '../../kvm/vcpu/run/exit-log.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';

/** What joins the nodes of a machine. */
export interface RunNodes {
  /** Nothing is on its way. */
  readonly quiet: boolean;
  /** Tells whether this process' vCPUs are idle; true if those of all nodes are, and nothing is on its way. */
  idle(isIdle: boolean): boolean;
  /** This process' vCPUs have done what the run waits for: the run is over when those of the other processes have. */
  done?(): void;
  /** Resolves when another process has ended the run. */
  readonly over?: Promise<void>;
  /** Rejects when the machine cannot go on. */
  readonly failed: Promise<never>;
  /** No vCPU runs yet. */
  begin(deadline: number): Promise<void>;
  /** Waits until nothing is on its way: false if the deadline, in ms, comes first. */
  settle(deadline: number): Promise<boolean>;
}

export interface RunHooks {
  /** Where the exits go that nobody has to look at; without it each is looked at. */
  log?: ExitLog | undefined;
  /** What guests may take of the program's time. */
  budget: RunBudget;
  /** Idle vCPUs end the run: when all of `idle` are in HLT. */
  untilIdle: boolean;
  /** Of this process' vCPUs those that have to be idle. */
  idle: readonly Vcpu[];
  /** Milliseconds from now. */
  limit: number;
  /** An exit came. True if the run is over with it; what this throws ends it as well. */
  onExit(vcpu: Vcpu, exit: Exit): boolean;
  /** True if the vCPU stays idle after this exit: nothing but user space can wake it from its HLT, and has nothing for it. */
  isLeft(vcpu: Vcpu, exit: Exit): boolean;
  /** An exit that came while the run was about to end. */
  onLateExit(vcpu: Vcpu, exit: Exit): void;
  /** True if the run was over, by what the log says, before this exit. */
  isLate?(vcpu: Vcpu): boolean;
  /** Exits may lie in the log that nobody has told of. */
  look?(): void;
  /** The other nodes: the run is not over as long as something is on its way, and ends when one is lost. */
  nodes?: RunNodes | undefined;
  /** The machine is closed, and its run is over. */
  closing: AbortSignal;
  /** It is out of the guest for a moment: RIP can be read. */
  sample(vcpu: Vcpu): void;
}
