/** Which profile the kernel speaks, where none was named. */
import { type DsmProfile, defaultProfile } from '../abi/dsm/profiles.ts';
import { KvmDsmError } from '../base/errors.ts';
import { recognizeProfile, UnknownSeriesError } from '../probe/profile.ts';
import { type HealthCheck, healthCheck } from './health-check.ts';

/** Whether the kernel speaks another profile than the one that was named; nothing where it speaks that one, or none. */
export function comparedProfile(device: string, { name }: DsmProfile): HealthCheck[] {
  try {
    const { profile, because } = recognizeProfile(device);
    if (profile.name === name) return [];
    const finding = `This kernel speaks profile ${profile.name}, and is looked at by ${name}: ${because}`;
    return [healthCheck('profile', 'warn', finding, `Name its own: --profile ${profile.name} (or --profile auto).`)];
  } catch (error) {
    if (!(error instanceof KvmDsmError)) throw error;
    // What it lacks, or why it cannot be asked, is the subject of the other checks.
    return [];
  }
}

/** What the rest is looked at by. A kernel that speaks none is looked at by the default one, and that is told. */
export function recognizedProfile(device: string): { profile: DsmProfile; checks: HealthCheck[] } {
  try {
    const { profile, because } = recognizeProfile(device);
    return {
      profile,
      checks: [healthCheck('profile', 'ok', `This kernel speaks profile ${profile.name}: ${because}`)],
    };
  } catch (error) {
    if (!(error instanceof KvmDsmError)) throw error;
    const what = error instanceof UnknownSeriesError ? `no profile: ${error.seen.join('; ')}` : error.message;
    const finding = `Which profile this kernel speaks was not found out, and it is looked at by ${defaultProfile.name}: ${what}`;
    return { profile: defaultProfile, checks: [healthCheck('profile', 'note', finding, null)] };
  }
}
