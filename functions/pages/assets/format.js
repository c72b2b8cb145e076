// Times, money and sizes, as people read and write them.

/**
 * `1:02:03.480`; never more digits than a video has frames.
 * @param {number} seconds
 */
export function clock(seconds) {
  const ms = Math.max(0, Math.round(seconds * 1000));
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
  const hours = Math.floor(ms / 3600000);
  const minutes = Math.floor(ms / 60000) % 60;
  const rest = `${two(Math.floor(ms / 1000) % 60)}.${String(ms % 1000).padStart(3, '0')}`;
  return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

/**
 * `1:02:03`, to look at.
 * @param {number} seconds
 */
export const about = (seconds) => clock(Math.round(seconds)).slice(0, -4);

/**
 * In words, for those who listen.
 * @param {number} seconds
 */
export function words(seconds) {
  const whole = Math.floor(seconds);
  const parts = [[Math.floor(whole / 3600), 'hour'], [Math.floor(whole / 60) % 60, 'minute']];
  const told = parts.filter(([many]) => many).map(([many, unit]) => `${many} ${unit}${many === 1 ? '' : 's'}`);
  told.push(`${Number((seconds % 60).toFixed(3))} seconds`);
  return told.join(' ');
}

/**
 * Seconds of `1:02:03.5`, `90` or `1m 30s`; `null` of anything else.
 * @param {string} text
 * @returns {number | null}
 */
export function parsed(text) {
  const plain = text.trim().toLowerCase().replace(',', '.');
  if (/^\d+(\.\d+)?$/.test(plain)) return Number(plain);
  const colons = /^(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)$/.exec(plain);
  if (colons) return Number(colons[1] ?? 0) * 3600 + Number(colons[2]) * 60 + Number(colons[3]);
  const units = /^(?:(\d+)\s*h)?\s*(?:(\d+)\s*m(?:in)?)?\s*(?:(\d+(?:\.\d+)?)\s*s?)?$/.exec(plain);
  if (!plain || !units) return null;
  return Number(units[1] ?? 0) * 3600 + Number(units[2] ?? 0) * 60 + Number(units[3] ?? 0);
}

/** @param {number} dollars */
export const money = (dollars) => `$${dollars.toFixed(2)}`;

/** @param {number} bytes */
export function size(bytes) {
  const units = ['bytes', 'kB', 'MB', 'GB'];
  const power = Math.min(3, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** power;
  return `${power && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}
