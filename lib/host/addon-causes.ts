/** Why an addon does not load here, and what to do. */
import { readdirSync } from 'node:fs';

/** The system that it would be loaded into. */
export interface Runtime {
  /** As `process.arch` spells it. */
  arch: string;
  /** glibc's version; `null` where the C library is another one (musl). */
  glibc: string | null;
}

export function thisRuntime(): Runtime {
  const report: typeof process.report & { excludeNetwork?: boolean } = process.report;
  const { excludeNetwork } = report;
  // Else it looks the names of all open connections up.
  report.excludeNetwork = true;
  const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
  report.excludeNetwork = excludeNetwork ?? false;
  return { arch: process.arch, glibc: header?.glibcVersionRuntime ?? null };
}

/** What the package has ready in `prebuilds`, such as `x64 with glibc`. */
export function shippedAddons(root: string): string[] {
  return folder(`${root}/prebuilds`).flatMap((platform) =>
    folder(`${root}/prebuilds/${platform}`)
      .filter((file) => file.endsWith('.node'))
      .map((file) => {
        const libc = file.split('.').find((tag) => tag === 'glibc' || tag === 'musl');
        return `${platform.replace('linux-', '')}${libc ? ` with ${libc}` : ''}`;
      }),
  );
}

const CHECKOUT = 'a checkout of the repository builds its own (`npm ci`, which needs cmake, make and a C++ compiler).';

/**
 * @param message what the loader said
 * @param checkout the package is a checkout, which is built where it lies
 * @param shipped what the package has ready
 */
export function addonAdvice(
  message: string,
  checkout: boolean,
  shipped: readonly string[],
  { arch, glibc }: Runtime,
): string {
  const needed = /version [`'"]?((GLIBC|GLIBCXX|CXXABI)_[\d.]+)/.exec(message);
  if (needed) {
    const [, version, library] = needed;
    const isGlibc = library === 'GLIBC';
    const has = isGlibc && glibc !== null ? `, this system has ${glibc}` : '';
    return `It was built for a newer ${isGlibc ? 'glibc' : 'libstdc++'} (${version}${has}): take a newer distribution; ${CHECKOUT}`;
  }
  if (checkout) return 'Build it: `npm run build:native` (needs cmake, make and a C++ compiler).';
  const here = `${arch} with ${glibc === null ? 'another C library than glibc (musl, as in Alpine)' : `glibc ${glibc}`}`;
  if (shipped.length === 0) return `This copy of kvm-dsm has no prebuilt addon: install it again; ${CHECKOUT}`;
  if (/No native build was found/.test(message))
    return `kvm-dsm has prebuilt addons for ${shipped.join(', ')}, and this is ${here}: run it on one of those; ${CHECKOUT}`;
  return `The prebuilt addon (there are some for ${shipped.join(', ')}; this is ${here}) is damaged or lacks a library: install kvm-dsm again; ${CHECKOUT}`;
}

function folder(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch {
    return [];
  }
}
