import type { CapabilityName } from '../../abi/kvm/capability.ts';
import { type IrqchipName, irqchipIds } from '../../abi/kvm/gsi-route.ts';
import {
  KVM_PIT_SPEAKER_DUMMY,
  type KvmIoapicState,
  type KvmPicState,
  type KvmPitState2,
  kvmIoapicState,
  kvmIrqchip,
  kvmPicState,
  kvmPitConfig,
  kvmPitState2,
} from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { structCheck } from '../../abi/layout.ts';
import { checkChoice, checkObject } from '../../base/check.ts';
import { boolean, optional, shape } from '../../base/shape.ts';
import { isEnxio, needIrqchip } from '../no-irqchip.ts';
import type { IrqchipKind, VmCalls } from './host.ts';

const pitOptions = shape<{ speakerDummy?: boolean }>('createPit2() takes', { speakerDummy: optional(boolean) });
const wholePit = structCheck('setPit2() takes', kvmPitState2);

/** The interrupt controllers that the kernel has for a VM, and its i8254 timer. */
export class Irqchip {
  readonly #calls: VmCalls;
  #kind: IrqchipKind = 'none';
  #pit: number | null = null;

  constructor(calls: VmCalls) {
    this.#calls = calls;
  }

  get kind(): IrqchipKind {
    return this.#kind;
  }

  /** The VM has this capability now. */
  enabled(cap: CapabilityName | number): void {
    if (cap === 'KVM_CAP_SPLIT_IRQCHIP') this.#kind = 'split';
  }

  create(): void {
    this.#calls.ioctl(ioctls.KVM_CREATE_IRQCHIP, undefined, 'Call it once per VM, before the first createVcpu().');
    this.#kind = 'full';
  }

  get(chip: IrqchipName): KvmPicState | KvmIoapicState {
    const bytes = this.#chip(chip);
    return chip === 'ioapic' ? kvmIoapicState.decode(bytes) : kvmPicState.decode(bytes);
  }

  set(chip: IrqchipName, state: Partial<KvmPicState> | Partial<KvmIoapicState>): void {
    checkChip(chip);
    checkObject('state', state);
    const now = this.#chip(chip);
    const bytes =
      chip === 'ioapic'
        ? kvmIoapicState.encode({ ...kvmIoapicState.decode(now), ...(state as Partial<KvmIoapicState>) })
        : kvmPicState.encode({ ...kvmPicState.decode(now), ...(state as Partial<KvmPicState>) });
    this.#ioctl(ioctls.KVM_SET_IRQCHIP, kvmIrqchip.encode({ chipId: irqchipIds[chip], chip: bytes }));
  }

  #chip(chip: IrqchipName): Uint8Array {
    const argument = kvmIrqchip.encode({ chipId: irqchipIds[checkChip(chip)] });
    this.#ioctl(ioctls.KVM_GET_IRQCHIP, argument);
    return kvmIrqchip.decode(argument).chip;
  }

  createPit2(options: { speakerDummy?: boolean }): void {
    const flags = pitOptions.take(options).speakerDummy ? KVM_PIT_SPEAKER_DUMMY : 0;
    needIrqchip(
      () => this.#calls.ioctl(ioctls.KVM_CREATE_PIT2, kvmPitConfig.encode({ flags }), 'Call it once per VM.'),
      // The kernel says ENOENT.
      () => this.#kind !== 'full',
    );
    this.#pit = flags;
  }

  getPit2(): KvmPitState2 {
    const argument = new Uint8Array(kvmPitState2.size);
    this.#ioctl(ioctls.KVM_GET_PIT2, argument);
    return kvmPitState2.decode(argument);
  }

  setPit2(state: KvmPitState2): void {
    this.#ioctl(ioctls.KVM_SET_PIT2, kvmPitState2.encode(wholePit.take(state, 'state')));
  }

  get pitFlags(): number | null {
    return this.#pit;
  }

  setPitReinject(reinject: boolean): void {
    needIrqchip(
      () => this.#calls.call(ioctls.KVM_REINJECT_CONTROL, (native) => native.reinjectControl(reinject)),
      () => true,
    );
  }

  #ioctl(request: number, argument: Uint8Array): void {
    needIrqchip(() => this.#calls.ioctl(request, argument), isEnxio);
  }
}

function checkChip(chip: IrqchipName): IrqchipName {
  return checkChoice('chip', chip, Object.keys(irqchipIds) as IrqchipName[]);
}
