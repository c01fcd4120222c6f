/** Compiled by `npm run types`, never run: an exit has the fields of its name, and no others. */
import type { Exit, ExitName, ExitOf, StartOptions, Vcpu } from '../../lib/index.ts';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <_T extends true>(): void => {};
type Flat<T> = { [K in keyof T]: T[K] };

// Each name has one variant, and the names are literal.
same<Equal<string extends ExitName ? true : false, false>>();
same<Equal<{ [N in ExitName]: [ExitOf<N>] extends [never] ? N : never }[ExitName], never>>();
same<Equal<{ [N in ExitName]: Equal<ExitOf<N>['name'], N> extends true ? never : N }[ExitName], never>>();
same<Equal<ExitOf<'KVM_EXIT_IO'>['name'], 'KVM_EXIT_IO'>>();
same<Equal<keyof ExitOf<'KVM_EXIT_HLT'>, 'name' | 'reason'>>();
same<
  Equal<
    keyof ExitOf<'KVM_EXIT_IO'>,
    'name' | 'reason' | 'direction' | 'size' | 'port' | 'count' | 'dataOffset' | 'data'
  >
>();
same<Equal<keyof ExitOf<'KVM_EXIT_MMIO'>, 'name' | 'reason' | 'physAddr' | 'len' | 'isWrite' | 'data'>>();
same<Equal<keyof ExitOf<'KVM_EXIT_DEBUG'>, 'name' | 'reason' | 'exception' | 'pc' | 'dr6' | 'dr7'>>();
same<Equal<keyof ExitOf<'KVM_EXIT_DSM_X2_ICR'>, 'name' | 'reason' | 'id' | 'data' | 'icr'>>();
same<Equal<keyof ExitOf<'KVM_EXIT_DSM_APIC_BASE'>, 'name' | 'reason' | 'id' | 'host' | 'index' | 'data'>>();
same<Equal<keyof ExitOf<'unrecognized'>, 'name' | 'reason' | 'raw'>>();
same<Equal<Flat<ExitOf<'unrecognized'>>['raw'], Uint8Array>>();

export function narrowed(exit: Exit): unknown {
  exit.reason satisfies number;
  // @ts-expect-error before its name is known an exit has no port
  exit.port;
  // @ts-expect-error there is no such exit
  if (exit.name === 'KVM_EXIT_DSM_SEND') return;

  switch (exit.name) {
    case 'KVM_EXIT_IO':
      exit.direction satisfies 'in' | 'out';
      exit.port satisfies number;
      exit.data satisfies Uint8Array;
      exit.dataOffset satisfies bigint;
      // @ts-expect-error that is a field of MMIO
      return exit.physAddr;
    case 'KVM_EXIT_MMIO':
      exit.physAddr satisfies bigint;
      exit.isWrite satisfies boolean;
      // @ts-expect-error that is a field of IO
      return exit.port;
    case 'KVM_EXIT_HLT':
      // @ts-expect-error HLT has no payload
      return exit.data;
    case 'KVM_EXIT_DSM_SEND_IRQ':
      exit.destId satisfies number | null;
      if (exit.register === 'ICR') {
        exit.icr.vector satisfies number;
        exit.icr2 satisfies undefined;
        // @ts-expect-error the ICR has no such field
        return exit.icr.destination;
      }
      if (exit.register === 'ICR2') {
        exit.icr satisfies undefined;
        // @ts-expect-error a write of ICR2 sends nothing
        return exit.icr.vector;
      }
      exit.register satisfies 'SELF_IPI' | null;
      return exit.val;
    case 'KVM_EXIT_HYPERV':
      // @ts-expect-error one of three, by type: it may be null
      exit.synic.msr;
      return exit.synic?.msr satisfies number | undefined;
    case 'KVM_EXIT_X86_RDMSR':
    case 'KVM_EXIT_X86_WRMSR':
      exit.index satisfies number;
      return exit.data satisfies bigint;
    case 'KVM_EXIT_INTERNAL_ERROR':
      exit.insnBytes satisfies Uint8Array | null;
      // @ts-expect-error it may be null
      return exit.insnBytes.length;
    case 'unrecognized':
      exit.raw satisfies Uint8Array;
      // @ts-expect-error nobody knows its payload
      return exit.data;
    default:
      return exit.name;
  }
}

export function started(vcpu: Vcpu): void {
  vcpu.start({ onExit: (exit, run) => (exit.name === 'KVM_EXIT_HLT' ? run.stop() : undefined) });
  vcpu.start({
    record: { exits: ['KVM_EXIT_IO', 'KVM_EXIT_DSM_SEND_IRQ', 99], onRecords: ({ length }) => void length },
  });
  // @ts-expect-error no exit has this name
  const wrongName: StartOptions = { record: { exits: ['KVM_EXIT_OUT'], onRecords() {} } };
  // @ts-expect-error somebody has to take the records
  const nobody: StartOptions = { record: { exits: ['KVM_EXIT_IO'] } };
  // @ts-expect-error a handler does not return a value
  vcpu.start({ onExit: () => 1 });
  void [wrongName, nobody];
}
