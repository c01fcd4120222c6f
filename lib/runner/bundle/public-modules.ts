/** What a script imports by this package's name. The command line hands it in: nothing below the entry imports it. */

/** The modules by what stands in an `import`, each loaded when it is asked for. */
export type PublicModules = Readonly<Record<string, () => Promise<object>>>;

/** Those of some names. */
export async function loadModules(modules: PublicModules, names: readonly string[]): Promise<Record<string, object>> {
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await modules[name]!()] as const)));
}
