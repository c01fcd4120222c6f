/** A small machine that runs an image of kvm-unit-tests as QEMU does, and goes on after the exits of the series. */
import type { DsmProfile } from '../abi/dsm/profiles.ts';
import { Deadline } from '../base/deadline.ts';
import { ArgumentError, DeadlineError } from '../base/errors.ts';
import { plural } from '../base/text.ts';
import { isDsmExit } from '../exit/dsm.ts';
import type { Exit } from '../exit/exit.ts';
import { describeExit } from '../exit/text.ts';
import { enterFlat32 } from '../guest/enter-flat32.ts';
import { Synic } from '../hyperv/synic.ts';
import { withApicId } from '../kvm/apic-id.ts';
import { type Cpuid, hideX2apic, hypervCpuid, showTscDeadline } from '../kvm/cpuid.ts';
import { GuestMemory } from '../kvm/guest-memory.ts';
import { Kvm } from '../kvm/kvm.ts';
import type { Vcpu } from '../kvm/vcpu/vcpu.ts';
import { TSS_ADDRESS, type Vm } from '../kvm/vm/vm.ts';
import { PortBus } from './devices/bus.ts';
import { FW_CFG, FW_CFG_PORTS, FwCfg } from './devices/fw-cfg.ts';
import { HYPERV_TEST, HYPERV_TEST_PORTS, HypervTestDevice } from './devices/hyperv.ts';
import { COM1, SERIAL_PORTS, Serial } from './devices/serial.ts';
import { attachTestDevice, TestMemory } from './devices/test-device.ts';
import type { Image } from './image.ts';
import { type BootModule, INFORMATION, LOADER_MAGIC, multibootInformation } from './multiboot.ts';

export interface KutMachine {
  device: string;
  profile: DsmProfile;
  image: Image;
  /** argv[0] and what comes behind it. */
  commandLine: string;
  /** Boot module: what QEMU calls the initrd. */
  module: Uint8Array | null;
  cpus: number;
  /** In bytes. */
  memory: number;
  irqchip: 'full' | 'split';
  x2apic: boolean;
  hyperv: boolean;
  /** How long it may run, in ms. */
  limit: number;
}

/** How a run ended. */
export interface KutEnd {
  /** What the guest wrote to the exit device; `null`: it did not come so far. */
  code: number | null;
  /** Why it did not, in words. */
  why: string | null;
  /** How many exits of each name there were. */
  exits: ReadonlyMap<string, number>;
  /** What a device was asked for that it cannot do. */
  notes: readonly string[];
}

type Ending = Pick<KutEnd, 'code' | 'why'>;

const KERNEL_ERRORS = new Set([
  'KVM_EXIT_UNKNOWN',
  'KVM_EXIT_FAIL_ENTRY',
  'KVM_EXIT_INTERNAL_ERROR',
  'KVM_EXIT_SHUTDOWN',
  'KVM_EXIT_SYSTEM_EVENT',
]);

/** Runs it to its end. `line` is told what the guest prints. Throws what KVM or its device refuses. */
export async function runImage(options: KutMachine, line: (text: string) => void): Promise<KutEnd> {
  using kvm = Kvm.open(options.device, { profile: options.profile });
  using vm = kvm.createVm();
  using memory = GuestMemory.allocate(options.memory);
  load(memory, options);
  setUp(vm, memory, options);
  const cpuid = cpuidOf(kvm, options);
  const vcpus = Array.from({ length: options.cpus }, (_, id) => makeVcpu(vm, id, cpuid, options));
  enterFlat32(vcpus[0]!, { rip: options.image.entry, rsp: 0, interrupts: false });
  vcpus[0]!.setRegs({ ...vcpus[0]!.getRegs(), rax: BigInt(LOADER_MAGIC), rbx: BigInt(INFORMATION) });
  return await new Session(vm, vcpus, memory, options, line).run();
}

function load(memory: GuestMemory, { image, module, commandLine, memory: size }: KutMachine): void {
  const place: BootModule | null = module === null ? null : { at: alignUp(image.end), size: module.length };
  const end = place ? place.at + place.size : image.end;
  if (end > size)
    throw new ArgumentError(
      '--memory',
      `the image needs ${plural(end, 'byte')}, and there are ${size}`,
      'Give more MiB.',
    );
  for (const { at, bytes } of image.segments) memory.write(at, bytes);
  if (place) memory.write(place.at, module!);
  for (const { at, bytes } of multibootInformation(commandLine, size, place)) memory.write(at, bytes);
}

const PAGE = 4096;
const MEMORY_SLOT = 0;
const alignUp = (address: number) => Math.ceil(address / PAGE) * PAGE;

function setUp(vm: Vm, memory: GuestMemory, { irqchip }: KutMachine): void {
  if (vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) vm.setTssAddr(TSS_ADDRESS);
  if (irqchip === 'full') {
    vm.createIrqchip();
    vm.createPit2({ speakerDummy: true });
  } else vm.enableSplitIrqchip();
  vm.setMemory({ slot: MEMORY_SLOT, guestPhysAddr: 0, memory });
}

function cpuidOf(kvm: Kvm, { x2apic, hyperv }: KutMachine): Cpuid {
  const all = showTscDeadline(kvm.supportedCpuid());
  const one = x2apic ? all : hideX2apic(all);
  return hyperv ? hypervCpuid(one, kvm.supportedHvCpuid()) : one;
}

function makeVcpu(vm: Vm, id: number, cpuid: Cpuid, { hyperv }: KutMachine): Vcpu {
  const vcpu = vm.createVcpu(id);
  if (hyperv) vcpu.enableCap('KVM_CAP_HYPERV_SYNIC2');
  vcpu.setCpuid2(withApicId(cpuid, id));
  return vcpu;
}

/** One run: its devices, and what its vCPUs leave the guest for. */
class Session {
  readonly #options: KutMachine;
  readonly #vcpus: readonly Vcpu[];
  readonly #bus = new PortBus();
  readonly #serial: Serial;
  readonly #memory = new TestMemory();
  /** By vCPU id, which is the VP index. */
  readonly #synics: readonly Synic[];
  readonly #hyperv: HypervTestDevice | null;
  readonly #exits = new Map<string, number>();
  readonly #notes = new Set<string>();
  #over: (end: Ending) => void = () => {};
  readonly #end = new Promise<Ending>((resolve) => {
    this.#over = resolve;
  });

  constructor(vm: Vm, vcpus: readonly Vcpu[], memory: GuestMemory, options: KutMachine, line: (text: string) => void) {
    this.#options = options;
    this.#vcpus = vcpus;
    this.#serial = new Serial(line);
    this.#bus.attach(COM1, SERIAL_PORTS, this.#serial);
    this.#bus.attach(FW_CFG, FW_CFG_PORTS, new FwCfg(options));
    attachTestDevice(this.#bus, {
      exit: (code) => this.#over({ code, why: null }),
      line: (gsi, level) => vm.irqLine(gsi, level),
      flush: () => this.#flush(vm, memory),
    });
    this.#synics = options.hyperv ? vcpus.map((vcpu) => Synic.of(vm, vcpu)) : [];
    this.#hyperv = options.hyperv
      ? new HypervTestDevice({ vm, synics: this.#synics, memory, limit: options.limit })
      : null;
    if (this.#hyperv) this.#bus.attach(HYPERV_TEST, HYPERV_TEST_PORTS, this.#hyperv);
  }

  async run(): Promise<KutEnd> {
    const { limit, profile } = this.#options;
    const runs = this.#vcpus.map((vcpu) => vcpu.start({ profile, onExit: (exit) => this.#answer(vcpu, exit) }));
    // One that ends by itself has failed: the others go on without it until somebody says what came of it.
    const ended = runs.map((run) => run.ended({ deadline: limit + 10_000 }));
    const failed = ended.map((one) => one.then(() => this.#end));
    try {
      using deadline = new Deadline(limit, () => new DeadlineError(`it did not end within ${limit} ms`, ''));
      const end = await deadline.keep(Promise.race([this.#end, ...failed])).catch((error: unknown) => {
        if (error instanceof DeadlineError) return { code: null, why: error.message };
        throw error;
      });
      return { ...end, exits: this.#exits, notes: [...this.#notes, ...(this.#hyperv?.notes ?? [])] };
    } finally {
      await Promise.all(runs.map((run) => run.stop()));
      await Promise.allSettled(ended);
      await this.#hyperv?.close();
      if (this.#serial.isInLine) this.#serial.flush();
    }
  }

  /** All of the memory, not a page of it: KVM forgets what it has mapped of a slot that goes. */
  #flush(vm: Vm, memory: GuestMemory): void {
    if (this.#vcpus.length > 1) {
      // Another one would run into the gap.
      this.#notes.add('port 0xe4 with more than one vCPU: pages stay mapped');
      return;
    }
    vm.removeMemory(MEMORY_SLOT);
    vm.setMemory({ slot: MEMORY_SLOT, guestPhysAddr: 0, memory });
  }

  #answer(vcpu: Vcpu, exit: Exit): void {
    this.#exits.set(exit.name, (this.#exits.get(exit.name) ?? 0) + 1);
    // What a distributed hypervisor would carry elsewhere: KVM has delivered it here.
    if (isDsmExit(exit)) return;
    switch (exit.name) {
      case 'KVM_EXIT_IO':
        this.#io(vcpu, exit);
        return;
      case 'KVM_EXIT_MMIO':
        this.#mmio(vcpu, exit);
        return;
      case 'KVM_EXIT_HYPERV':
        // Without it KVM knows no SynIC, and leaves no hypercall to anybody.
        if (!this.#hyperv) break;
        this.#synics[vcpu.vcpuId]!.see(exit);
        if (exit.hcall !== null) vcpu.completeHypervHcall(this.#hyperv.connections.call(exit.hcall));
        return;
      case 'KVM_EXIT_IOAPIC_EOI':
      case 'KVM_EXIT_SET_TPR':
      case 'KVM_EXIT_TPR_ACCESS':
      case 'KVM_EXIT_IRQ_WINDOW_OPEN':
        return;
      default:
        break;
    }
    this.#over({
      code: null,
      why: `${KERNEL_ERRORS.has(exit.name) ? 'the guest is over' : 'nobody here answers that'}: vCPU ${vcpu.vcpuId}: ${describeExit(exit)}`,
    });
  }

  #io(vcpu: Vcpu, { direction, port, size, count, data }: Extract<Exit, { name: 'KVM_EXIT_IO' }>): void {
    const answer = Buffer.alloc(size * count);
    for (let at = 0; at < answer.length; at += size) {
      if (direction === 'in') answer.writeUIntLE(this.#bus.read(port, size), at, size);
      else this.#bus.write(port, Buffer.from(data.buffer, data.byteOffset, data.length).readUIntLE(at, size), size);
    }
    if (direction === 'in') vcpu.completeRead(answer);
  }

  #mmio(vcpu: Vcpu, { physAddr, len, isWrite, data }: Extract<Exit, { name: 'KVM_EXIT_MMIO' }>): void {
    const there = this.#memory.at(physAddr, len);
    if (there === null) return; // all ones
    if (isWrite) there.set(data);
    else vcpu.completeRead(there);
  }
}
