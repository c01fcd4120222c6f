import { type Command, Option } from 'commander';
import type { KutOptions } from '../kut/command.ts';
import { integer } from '../runner/suite/options.ts';
import { globalOptionsOf, withGlobalOptions } from '../target/options.ts';
import type { Ends } from './subcommand.ts';

/** Seconds that it may take if `--timeout` does not say otherwise: as in kvm-unit-tests, but emulated machines are slow. */
const KUT_TIMEOUT = 300;

/** Adds `kvm-dsm kut`. */
export function addKutCommand(program: Command, ends: Ends): void {
  withGlobalOptions(program.command('kut'), KUT_TIMEOUT)
    .description('run an image of kvm-unit-tests (x86/*.flat); its results as KTAP')
    .argument('<image>')
    .addOption(new Option('--smp <n>', 'vCPUs').default(1).argParser(integer(1, 64)))
    .addOption(new Option('--memory <MiB>', "the guest's memory").default(128).argParser(integer(8, 2048)))
    .option('--append <text>', "the image's arguments")
    .option('--initrd <file>', 'a boot module, such as the environment that run_tests.sh makes')
    .addOption(
      new Option('--irqchip <kind>', 'full: all interrupt controllers in the kernel; split: the local APICs alone')
        .choices(['full', 'split'])
        .default('full'),
    )
    .option('--no-x2apic', 'without x2APIC in CPUID')
    .option('--hyperv', "with Hyper-V's CPUID, SynIC and test device", false)
    .action(async (image: string, _options, command: Command) => {
      const { kut } = await import('../kut/command.ts');
      ends(await kut(image, globalOptionsOf<KutOptions>(command)));
    });
}
