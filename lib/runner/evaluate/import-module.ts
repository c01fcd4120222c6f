/**
 * Imports a module that is known by its URL only. A file of its own: in the lab's bundle, which node does not load as a
 * module, another function takes its place.
 */
export const importModule = (url: string): Promise<unknown> => import(url);
