-- The container of discarding.py: what is put is read to its end and thrown away; what a listing shows of it is kept.
-- One shared dictionary: "last" counts blobs; a name's number and a number's listing entry lie under "n:NAME" and
-- "e:NUMBER", its size under "z:NAME", its ETag under "t:NAME"; "s:NAME" sums the blocks not yet committed. Listings come in the order of first writing.

local kept = ngx.shared.blobs
local request = ngx.req
local path = ngx.var.uri
local container, name = path:match("^/[^/]+/([^/]+)/(.+)$")
local WHEN = "Sun, 22 Nov 2026 10:00:00 GMT"

local function escaped(text)
    return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

local function missing(code)
    ngx.status = 404
    ngx.header["x-ms-error-code"] = code
    ngx.header["Content-Type"] = "application/xml"
    ngx.print('<?xml version="1.0" encoding="utf-8"?><Error><Code>' .. code .. "</Code><Message>gone</Message></Error>")
end

local function list(arguments)
    local prefix = escaped(arguments.prefix or "")
    local most = math.min(tonumber(arguments.maxresults) or 5000, 5000)
    local at, last, found, parts = tonumber(arguments.marker) or 1, kept:get("last") or 0, 0, {}
    while at <= last and found < most do
        local entry = kept:get("e:" .. at)
        if entry:sub(13, 12 + #prefix) == prefix then
            found = found + 1
            parts[found] = entry
        end
        at = at + 1
    end
    ngx.header["Content-Type"] = "application/xml"
    ngx.print('<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="http://127.0.0.1/"',
        ' ContainerName="bench"><Prefix>', prefix, "</Prefix><MaxResults>", most, "</MaxResults><Blobs>", parts,
        "</Blobs><NextMarker>", at <= last and at or "", "</NextMarker></EnumerationResults>")
end

local function keep(size, md5)
    local number = kept:get("n:" .. name)
    if not number then
        number = kept:incr("last", 1, 0)
        kept:set("n:" .. name, number)
    end
    local etag = string.format("0x8DE%012X", kept:incr("version", 1, 0))
    kept:set("z:" .. name, size)
    kept:set("e:" .. number, "<Blob><Name>" .. escaped(name) .. "</Name><Properties><Creation-Time>" .. WHEN
        .. "</Creation-Time><Last-Modified>" .. WHEN .. "</Last-Modified><Etag>" .. etag .. "</Etag><Content-Length>"
        .. size .. "</Content-Length><Content-Type>application/octet-stream</Content-Type><Content-Encoding />"
        .. "<Content-Language /><Content-CRC64 /><Content-MD5>" .. (md5 or "") .. "</Content-MD5><Cache-Control />"
        .. "<Content-Disposition /><BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier>"
        .. "<AccessTierInferred>true</AccessTierInferred><LeaseStatus>unlocked</LeaseStatus>"
        .. "<LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted></Properties><Metadata />"
        .. "<OrMetadata /></Blob>")
    kept:set("t:" .. name, etag)
    ngx.header["ETag"] = '"' .. etag .. '"'
    ngx.header["Last-Modified"] = WHEN
end

local function put(arguments)
    request.read_body()
    local length = tonumber(ngx.var.content_length) or 0
    kept:incr("bytes", length, 0)
    local headers = request.get_headers()
    local asked = arguments.comp
    if asked == "block" then
        kept:incr("s:" .. name, length, 0)
    elseif asked == "blocklist" then
        keep(string.format("%d", kept:get("s:" .. name) or 0), headers["x-ms-blob-content-md5"])
        kept:delete("s:" .. name)
    else
        keep(length, headers["x-ms-blob-content-md5"] or headers["content-md5"])
    end
    ngx.status = 201
    ngx.header["x-ms-request-server-encrypted"] = "true"
    ngx.header["Content-Length"] = 0
end

local arguments = request.get_uri_args()
ngx.header["x-ms-version"] = "2021-12-02"
if path == "/_bytes" then
    ngx.print(string.format("%d", kept:get("bytes") or 0))
elseif request.get_method() == "PUT" and name then
    put(arguments)
elseif arguments.comp == "list" then
    list(arguments)
elseif request.get_method() == "HEAD" and name and kept:get("z:" .. name) then
    -- AzCopy asks for the length of each blob that it wrote.
    ngx.header["ETag"] = '"' .. kept:get("t:" .. name) .. '"'
    ngx.header["Last-Modified"] = WHEN
    ngx.header["x-ms-blob-type"] = "BlockBlob"
    ngx.header["Content-Length"] = kept:get("z:" .. name)
elseif name then
    missing("BlobNotFound")
else
    ngx.header["ETag"] = '"0x8DE"'
    ngx.header["Last-Modified"] = WHEN
    ngx.header["Content-Length"] = 0
end
