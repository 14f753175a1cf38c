/**
 * What the `captions` recogniser writes where the audio does not say what was spoken. Stable, since tests, the
 * demo and people look for it:
 *
 *     [speech 1.2 s]                          speech without a caption
 *     [speech 1.2 s, caption damaged]         a caption began, but no copy of it was whole
 *     您好，请问有什么可以帮您？ [caption damaged]   the text is known, but not all of the sentence's audio came
 */
export function speechPlaceholder(durationMs: number, caption: 'none' | 'damaged'): string {
  const seconds = (durationMs / 1000).toFixed(1);
  return caption === 'none' ? `[speech ${seconds} s]` : `[speech ${seconds} s, ${DAMAGED}]`;
}

/** Marks a text that was read from a caption whose audio did not come whole. */
export const markDamaged = (text: string): string => `${text} [${DAMAGED}]`;

/** Whether the recogniser says that the audio of this sentence was hit. */
export const isMarkedDamaged = (text: string): boolean => text.endsWith(`${DAMAGED}]`);

const DAMAGED = 'caption damaged';
