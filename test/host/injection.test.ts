/** vm.dsmIpi, vm.dsmX2apic, vm.dsmApicBase: what they refuse on any KVM, and what they do where the kernel has patch 3/3. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  enableReservedExits,
  encodeIcr,
  encodeIcr2,
  encodeX2Icr,
  enterFlat32,
  flat32,
  GuestMemory,
  type IrqchipKind,
  Kvm,
  type KvmDsmError,
  knowsInjection,
  PAGE_SIZE,
  reservedExits,
  spin,
  type UnsupportedError,
  type Vm,
} from '../../lib/index.ts';
import type { VmAct } from '../../lib/kvm/vm/acts.ts';
import { errorOf, noKvm } from '../support/host.ts';

const injects = noKvm === false && knows();
const noInjection = noKvm || (injects ? false : 'this kernel lacks the injection ioctls');
const hasInjection = noKvm || (injects ? 'this kernel has the injection ioctls' : false);

function knows(): boolean {
  using kvm = Kvm.open();
  return knowsInjection(kvm);
}

const ICR = 0x300;
const ICR2 = 0x310;
const TPR = 0x80;
const EXTD = 1n << 10n;

interface Setup {
  irqchip?: IrqchipKind;
  /** vcpu_id of each vCPU, in the order of their making. */
  ids?: readonly number[];
  x2apic?: boolean;
}

function withVm(use: (vm: Vm) => void, { irqchip = 'full', ids = [0, 1, 2], x2apic = false }: Setup = {}): void {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  if (irqchip === 'full') vm.createIrqchip();
  else if (irqchip === 'split') vm.enableSplitIrqchip();
  for (const id of ids) {
    const vcpu = vm.createVcpu(id);
    if (irqchip === 'none') continue;
    vcpu.setCpuid2(kvm.supportedCpuid());
    if (x2apic) {
      const sregs = vcpu.getSregs();
      vcpu.setSregs({ ...sregs, apicBase: sregs.apicBase | EXTD });
    }
    vcpu.setLapicRegisters({ SVR: 0x1ff });
  }
  use(vm);
}

const ipi = { vcpuId: 0, val: ICR2, val2: encodeIcr2({ destination: 1 }) };
const x2 = { vcpuId: 0, data: encodeX2Icr({ vector: 0x41, destination: 1 }) };
const base = { vcpuId: 0, data: 0xfee0_0900n };
const each: Record<string, (vm: Vm, change?: object, options?: object) => void> = {
  KVM_DSM_IPI: (vm, change, options) => vm.dsmIpi({ ...ipi, ...change }, options),
  KVM_DSM_X2APIC: (vm, change, options) => vm.dsmX2apic({ ...x2, ...change }, options),
  KVM_DSM_APIC_BASE: (vm, change, options) => vm.dsmApicBase({ ...base, ...change }, options),
};
const irr = (vm: Vm, id: number) => vm.vcpus.get(id)!.lapic().irr;

/** What is refused is refused before the ioctl: a kernel without it answers ENOTTY, which would be ERR_UNSUPPORTED. */
const code = (action: () => unknown): string => errorOf(action).code;

for (const [name, call] of Object.entries(each)) {
  test(`${name}: a vCPU that is not there, and a VM without LAPIC, are refused, whoever insists`, {
    skip: noKvm,
  }, () => {
    for (const options of [{}, { insist: true }]) {
      withVm((vm) => {
        const error = errorOf(() => call(vm, { vcpuId: 3 }, options)) as KvmDsmError & { vcpuId: number };
        assert.deepEqual([error.code, error.vcpuId], ['ERR_NO_VCPU', 3]);
        assert.match(error.advice, /0, 1, 2/);
        for (const vcpuId of [-1, 0.5, 2 ** 31, '0', undefined])
          assert.equal(
            code(() => call(vm, { vcpuId }, options)),
            'ERR_ARGUMENT',
          );
      });
      withVm(
        (vm) =>
          assert.equal(
            code(() => call(vm, {}, options)),
            'ERR_NO_LAPIC',
          ),
        { irqchip: 'none' },
      );
      // The kernel takes it for an index: there is no seventh.
      withVm(
        (vm) =>
          assert.equal(
            code(() => call(vm, { vcpuId: 7 }, options)),
            'ERR_REPLAY_REFUSED',
          ),
        { ids: [0, 7] },
      );
      withVm((vm) => {
        vm.close();
        assert.equal(
          code(() => call(vm, {}, options)),
          'ERR_CLOSED',
        );
      });
    }
  });

  test(`${name}: a vcpu_id that is not the index of its vCPU is refused`, { skip: noKvm }, () => {
    withVm(
      (vm) => {
        const error = errorOf(() => call(vm, { vcpuId: 1 }));
        assert.equal(error.code, 'ERR_REPLAY_REFUSED');
        assert.match(error.message, /takes vcpu_id 1 for an index, and vCPU 0 was made at that place/);
      },
      { ids: [1, 0] },
    );
  });

  test(`${name}: a kernel without it is told as such`, { skip: hasInjection }, () => {
    withVm(
      (vm) => {
        const error = errorOf(() => call(vm)) as UnsupportedError;
        assert.equal(error.code, 'ERR_UNSUPPORTED');
        assert.match(error.missing, new RegExp(`^${name} .*patch 3/3`));
      },
      { x2apic: name === 'KVM_DSM_X2APIC' },
    );
  });
}

test('KVM_DSM_IPI: only ICR and ICR2, and only in xAPIC mode', { skip: noKvm }, () => {
  withVm((vm) => {
    const error = errorOf(() => vm.dsmIpi({ vcpuId: 0, val: TPR, val2: 0 }));
    assert.equal(error.code, 'ERR_ARGUMENT');
    assert.match(error.advice, /insist/);
    for (const change of [{ val: -1 }, { val: 2 ** 32 }, { val2: -1 }, { val2: 0.5 }, { destId: -1 }, { val: '768' }])
      assert.equal(
        code(() => each.KVM_DSM_IPI!(vm, change)),
        'ERR_ARGUMENT',
        JSON.stringify(change),
      );
    assert.equal(
      code(() => vm.dsmIpi(null as never)),
      'ERR_ARGUMENT',
    );
  });
  withVm((vm) => assert.match(errorOf(() => vm.dsmIpi(ipi)).message, /x2APIC mode/), { x2apic: true });
});

test('KVM_DSM_X2APIC: no reserved bits, no everyone, and only in x2APIC mode', { skip: noKvm }, () => {
  withVm((vm) => assert.match(errorOf(() => vm.dsmX2apic(x2)).message, /is in xAPIC mode/));
  withVm(
    (vm) => {
      for (const bit of [13n, 16n, 17n, 20n, 31n])
        assert.equal(
          code(() => each.KVM_DSM_X2APIC!(vm, { data: x2.data | (1n << bit) })),
          'ERR_ARGUMENT',
          `bit ${bit}`,
        );
      for (const data of [-1n, 1n << 64n, 0.5])
        assert.equal(
          code(() => each.KVM_DSM_X2APIC!(vm, { data })),
          'ERR_ARGUMENT',
        );
      const everyone = [
        encodeX2Icr({ vector: 0x41, destination: 0xffff_ffff }),
        encodeX2Icr({ vector: 0x41, destination: 0, shorthand: 'allExcludingSelf' }),
        encodeX2Icr({ vector: 0x41, destination: 0, shorthand: 'allIncludingSelf' }),
      ];
      for (const data of everyone)
        assert.equal(
          code(() => vm.dsmX2apic({ vcpuId: 0, data })),
          'ERR_REPLAY_REFUSED',
        );
    },
    { x2apic: true },
  );
});

test('KVM_DSM_APIC_BASE: no other MSR, and host is true or false', { skip: noKvm }, () => {
  withVm((vm) => {
    for (const change of [{ index: 0x830 }, { index: -1 }, { host: 1 }, { data: -1n }])
      assert.equal(
        code(() => each.KVM_DSM_APIC_BASE!(vm, change)),
        'ERR_ARGUMENT',
      );
  });
});

test('a vCPU that is in the guest takes no replay: the kernel would not wait for it', { skip: noKvm }, async () => {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  using memory = GuestMemory.allocate(2 * PAGE_SIZE);
  if (vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) vm.setTssAddr(0xfffb_d000);
  vm.createIrqchip();
  vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
  const vcpu = vm.createVcpu(0);
  memory.write(PAGE_SIZE, flat32(spin).bytes);
  enterFlat32(vcpu, { rip: PAGE_SIZE, rsp: PAGE_SIZE, interrupts: true });
  const thread = vcpu.start();
  assert.equal(
    code(() => vm.dsmIpi(ipi)),
    'ERR_VCPU_BUSY',
  );
  await thread.stop();
});

test('a LAPIC that is disabled takes no replay', { skip: noKvm }, () => {
  withVm((vm) => {
    const vcpu = vm.vcpus.get(0)!;
    vcpu.setSregs({ ...vcpu.getSregs(), apicBase: 0xfee0_0000n });
    assert.match(errorOf(() => vm.dsmIpi(ipi)).message, /disabled/);
    assert.match(errorOf(() => vm.dsmX2apic(x2)).message, /disabled/);
  });
});

for (const irqchip of ['full', 'split'] as const)
  test(`KVM_DSM_IPI with the ${irqchip} irqchip: two writes, one IPI`, { skip: noInjection }, () => {
    withVm(
      (vm) => {
        vm.dsmIpi(ipi);
        assert.deepEqual(
          [0, 1, 2].map((id) => irr(vm, id)),
          [[], [], []],
        );
        vm.dsmIpi({ vcpuId: 0, val: ICR, val2: encodeIcr({ vector: 0x41 }), destId: 2 });
        assert.deepEqual(
          [0, 1, 2].map((id) => irr(vm, id)),
          [[], [0x41], []],
        );
      },
      { irqchip },
    );
  });

test('KVM_DSM_IPI: who insists writes another register', { skip: noInjection }, () => {
  withVm((vm) => {
    vm.dsmIpi({ vcpuId: 2, val: TPR, val2: 0x55 }, { insist: true });
    assert.deepEqual(
      [0, 1, 2].map((id) => vm.vcpus.get(id)!.lapic().registers.TPR),
      [0, 0, 0x55],
    );
  });
});

test('KVM_DSM_X2APIC: one write, one IPI; everyone is lost where one insists', { skip: noInjection }, () => {
  withVm(
    (vm) => {
      vm.dsmX2apic({ vcpuId: 2, data: x2.data });
      vm.dsmX2apic({ vcpuId: 2, data: encodeX2Icr({ vector: 0x42, destination: 0xffff_ffff }) }, { insist: true });
      assert.deepEqual(
        [0, 1, 2].map((id) => irr(vm, id)),
        [[], [0x41], []],
      );
    },
    { x2apic: true },
  );
});

test('KVM_DSM_APIC_BASE: what was written is there, and what the kernel did not take is told', {
  skip: noInjection,
}, () => {
  withVm((vm) => {
    const apicBase = () => vm.vcpus.get(1)!.getSregs().apicBase;
    vm.dsmApicBase({ vcpuId: 1, data: 0xfee0_0c00 });
    assert.equal(apicBase(), 0xfee0_0c00n);
    const error = errorOf(() => vm.dsmApicBase({ vcpuId: 1, data: 0xfee0_0800n }));
    assert.equal(error.code, 'ERR_REPLAY_LOST');
    assert.match(error.message, /0xfee00c00, not 0xfee00800/);
    vm.dsmApicBase({ vcpuId: 1, data: 0xfee0_0800n, host: true });
    assert.equal(apicBase(), 0xfee0_0800n);
  });
});

test('the VM tells of each write that the kernel has taken, as the kernel got it, and of no other', {
  skip: noInjection,
}, () => {
  withVm((vm) => {
    const acts: VmAct[] = [];
    vm.onAct((act) => acts.push(act));
    vm.dsmIpi(ipi);
    errorOf(() => vm.dsmIpi({ ...ipi, vcpuId: 9 }));
    errorOf(() => vm.dsmApicBase({ vcpuId: 1, data: 0xfee0_0001n }));
    vm.dsmApicBase({ vcpuId: 1, data: 0xfee0_0c00 });
    vm.dsmX2apic({ vcpuId: 1, data: Number(x2.data) });
    assert.deepEqual(acts, [
      { ioctl: 'KVM_DSM_IPI', write: { ...ipi, destId: 0 } },
      { ioctl: 'KVM_DSM_APIC_BASE', write: { vcpuId: 1, host: false, index: 0x1b, data: 0xfee0_0c00n } },
      { ioctl: 'KVM_DSM_X2APIC', write: { vcpuId: 1, data: x2.data } },
    ]);
  });
});

test('the parameters of the extension: on for a while, as before after it, and a typed error without them', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kvm-dsm-'));
  try {
    assert.equal(reservedExits(directory), null);
    const missing = errorOf(() => enableReservedExits(['KVM_EXIT_DAPIC'], directory)) as UnsupportedError;
    assert.deepEqual([missing.code, missing.missing], ['ERR_UNSUPPORTED', 'kvm.dsm_exit_dapic']);
    const read = () =>
      ['dapic', 'x2_icr', 'apic_base'].map((name) => readFileSync(join(directory, `dsm_exit_${name}`), 'ascii'));
    for (const name of ['dapic', 'x2_icr'])
      writeFileSync(join(directory, `dsm_exit_${name}`), name === 'dapic' ? 'Y\n' : 'N\n');
    assert.equal(errorOf(() => enableReservedExits(undefined, directory)).code, 'ERR_UNSUPPORTED');
    writeFileSync(join(directory, 'dsm_exit_apic_base'), 'N\n');
    assert.deepEqual(read(), ['Y', 'N', 'N\n'], 'the one that failed left the others as they were');
    {
      using _ = enableReservedExits(['KVM_EXIT_DAPIC', 'KVM_EXIT_DSM_APIC_BASE'], directory);
      assert.deepEqual(reservedExits(directory), {
        KVM_EXIT_DAPIC: true,
        KVM_EXIT_DSM_X2_ICR: false,
        KVM_EXIT_DSM_APIC_BASE: true,
      });
    }
    assert.deepEqual(read(), ['Y', 'N', 'N']);
    assert.equal(
      code(() => enableReservedExits(['KVM_EXIT_DSM_SEND_IRQ' as never], directory)),
      'ERR_ARGUMENT',
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});
