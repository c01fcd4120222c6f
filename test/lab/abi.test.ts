/** `kvm-dsm abi --on svm|vmx`: the answers are those of the lab's kernel. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { abiDocument, answersOf, entriesOf } from '../support/abi.ts';
import { labMissing } from '../support/lab.ts';

describe('abi in the lab', { skip: labMissing(), timeout: 900_000 }, () => {
  for (const lane of ['svm', 'vmx'] as const) {
    test(`${lane}: the series is there, SynIC too, and nothing that is not merged`, () => {
      const document = abiDocument(['--on', lane, '--timeout', '200']);
      assert.equal(document.on, lane);
      assert.match(document.kernel, /-kvm-dsm$/);
      const answers = answersOf(document);
      assert.equal(answers.KVM_EXIT_DSM_SEND_IRQ, 'made: a guest wrote ICR2');
      for (const name of ['KVM_DSM_IPI', 'KVM_DSM_X2APIC', 'KVM_DSM_APIC_BASE'])
        assert.equal(answers[name], 'known: it answers 0', name);
      for (const [exit, parameter] of [
        ['KVM_EXIT_DAPIC', 'kvm.dsm_exit_dapic'],
        ['KVM_EXIT_DSM_X2_ICR', 'kvm.dsm_exit_x2_icr'],
        ['KVM_EXIT_DSM_APIC_BASE', 'kvm.dsm_exit_apic_base'],
      ] as const) {
        assert.equal(answers[exit], `not made: ${parameter} is N`);
        assert.equal(answers[parameter], 'N');
      }
      for (const [name, answer] of Object.entries(answers))
        if (name.startsWith('KVM_CAP_')) assert.match(answer, /^[1-9]\d*: offered$/, name);
      assert.equal(answers.KVM_IRQ_ROUTING_HV_SINT, 'taken: KVM_SET_GSI_ROUTING answers 0');
      assert.equal(answers.KVM_EXIT_HYPERV_SYNIC, 'made: a guest wrote SCONTROL');
      assert.equal(answers.HV_X64_MSR_SINT0, 'KVM_GET_MSRS reads 0x10000');
      assert.match(answers.KVM_DEV_VFIO_FILE!, /^known: /);
      assert.equal(answers.KVM_DEV_VFIO_DEVICE_FORWARD_IRQ, 'ENXIO');
      assert.equal(answers['kvm.dsm_vfio'], 'N');
      // A question that crashed the kernel would have ended the machine.
      const unasked = entriesOf(document).filter(({ answer }) => !answer.asked);
      assert.deepEqual(
        unasked.map(({ name }) => name).filter((name) => !/VLPI|VPEID|GIC|^struct|^union/.test(name)),
        ['KVM_HYPERV_EVENTFD', 'KVM_EXIT_HYPERV_HCALL', 'KVM_EXIT_HYPERV_SYNDBG', 'KVM_SET_DEVICE_ATTR'],
      );
    });

    test(`${lane}: a parameter of the kernel's command line is told`, () => {
      const args = ['--on', lane, '--cmdline', 'kvm.dsm_exit_x2_icr=1 kvm.dsm_vfio=1', '--timeout', '200'];
      const answers = answersOf(abiDocument(args));
      assert.equal(answers['kvm.dsm_exit_x2_icr'], 'Y');
      assert.equal(answers.KVM_EXIT_DSM_X2_ICR, 'made: kvm.dsm_exit_x2_icr is Y');
      assert.equal(answers.KVM_EXIT_DAPIC, 'not made: kvm.dsm_exit_dapic is N');
      assert.equal(answers['kvm.dsm_vfio'], 'Y');
      assert.equal(answers.KVM_DEV_VFIO_DEVICE_FORWARD_IRQ, 'known: KVM_HAS_DEVICE_ATTR answers 0');
    });
  }
});
