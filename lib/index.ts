/**
 * `kvm-dsm`: the kit that scripts are written with.
 *
 * What stands below the kit has entries of its own: `kvm-dsm/kvm`, `/abi`, `/guest`, `/trace`, `/suite`, `/lab`. This version
 * still has their names here as well; docs/architecture.md says which names stay.
 */

export * from './faces/abi.ts';
export * from './faces/guest.ts';
export * from './faces/kvm.ts';
export type { CheckContext, Need, Shortfall, Subject, SuiteCheck } from './faces/suite.ts';
export * from './faces/trace.ts';
export { labFunction, lowerIntx, quietIntx, raiseIntx } from './kvm/vfio/lab-function.ts';
export type { NodeReport } from './node/cluster.ts';
export { describeNodeIpi } from './node/crossing-words.ts';
export type { NodeIpi, NodeIpiArrival, NodeIpiVcpu } from './node/crossings.ts';
export type { LinkRefusal } from './node/delivery.ts';
export type { EnvelopeRefusal } from './node/envelope.ts';
export {
  NodeLostError,
  NodeQueueError,
  NodesMissingError,
  TransportError,
  type Unacknowledged,
} from './node/errors.ts';
export type { CarrierCounts } from './node/links.ts';
export type { NodeCounts } from './node/node.ts';
export type { Transport } from './node/transport.ts';
export { InvariantError, ScheduleError, ScheduleLengthError } from './schedule/errors.ts';
export {
  ExpectationError,
  GuestAssertionError,
  GuestFailureError,
  GuestFaultError,
  NotReceivedError,
  ProgramEndError,
} from './script/errors.ts';
export type { Expected, ExpectedExit, ExpectedFields, ExpectedWord } from './script/expect/expected.ts';
export { Trace } from './script/expect/trace.ts';
export type {
  Explored,
  ExploredProgram,
  ExploreOptions,
  FewPreemptions,
  Invariant,
  PctSchedules,
  ProgramWithOptions,
  RandomSchedules,
  ScheduleEnd,
  Schedules,
  Steps,
} from './script/explore/options.ts';
export {
  type AddressRange,
  type AnswerOf,
  Machine,
  type MachineOptions,
  type MmioRead,
  machine,
  type NodeOptions,
  type PortRead,
  type RunUntilOptions,
  type TransportOfNode,
} from './script/machine/machine.ts';
export type { Until } from './script/machine/until.ts';
export { type LoadedProgram, MachineVcpu, type ProgramOptions } from './script/machine/vcpu.ts';
export { forwardingMissing, kvmMissing } from './script/missing.ts';
export { Random } from './script/random.ts';
export { random } from './script/session.ts';
