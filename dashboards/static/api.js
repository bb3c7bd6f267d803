/**
 * The service's REST interface. Every failure is a `Problem` with words for people. Paths are relative to the page,
 * which a reverse proxy may serve at any path.
 */
import { askForToken, token } from "./token.js";

/** What went wrong, from `application/problem+json` (RFC 9457) or from the network. */
export class Problem extends Error {
  /** @param {{status: number, title: string, detail?: string, remedy?: string, retryAfter_s?: number}} what */
  constructor({ status, title, detail = "", remedy = "", retryAfter_s = 0 }) {
    super([title, detail, remedy].filter(Boolean).join(" "));
    Object.assign(this, { status, title, detail, remedy, retryAfter_s });
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{body?: string, type?: string, keepalive?: boolean, background?: boolean}} options
 *   background: nobody is waiting, so a 401 is thrown and no dialog opens
 * @returns {Promise<Response>} an answer with status 2xx
 * @throws {Problem}
 */
export async function request(method, path, options = {}) {
  for (;;) {
    const response = await send(method, path, options);
    if (response.ok) return response;
    const askFirst = response.status === 401 && !options.background;
    if (!askFirst || !(await askForToken())) throw await problemOf(response);
  }
}

async function send(method, path, { body, type = "application/json", keepalive = false }) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = type;
  if (token()) headers.Authorization = `Bearer ${token()}`;
  try {
    return await fetch(path, { method, headers, body, keepalive, cache: "no-store" });
  } catch {
    throw new Problem({ status: 0, title: "The service does not answer.", remedy: "Trying again by itself." });
  }
}

async function problemOf(response) {
  let told = {};
  try {
    told = await response.json();
  } catch {
    // Not problem+json: a proxy's page, say. The status line has to do.
  }
  const title = told.title || `The service answered ${response.status}.`;
  return new Problem({
    status: response.status,
    title,
    detail: told.detail === title ? "" : told.detail,
    remedy: told.remedy,
    retryAfter_s: Number(response.headers.get("Retry-After")) || 0,
  });
}

const json = async (method, path, body, options) =>
  (await request(method, path, { body: body && JSON.stringify(body), ...options })).json();
const nothing = async (method, path) => void (await request(method, path));
const enc = encodeURIComponent;

/** Each stream comes with its queries. */
export const streams = {
  list: () => json("GET", "v1/streams", undefined, { background: true }),
  add: (stream_id, url) => json("POST", "v1/streams", { stream_id, url }),
  remove: (id) => nothing("DELETE", `v1/streams/${enc(id)}`),
};

export const service = {
  status: () => json("GET", "v1/status", undefined, { background: true }),
};

export const queries = {
  add: (streamId, text, kind, region) => json("POST", `v1/streams/${enc(streamId)}/queries`, { text, kind, region }),
  edit: (id, text) => json("PATCH", `v1/queries/${enc(id)}`, { text }),
  remove: (id) => nothing("DELETE", `v1/queries/${enc(id)}`),
};
