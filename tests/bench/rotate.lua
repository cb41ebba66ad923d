-- What wrk sends: one bearer token after the other from a file, over and over.
-- Arguments, behind wrk's own `--`: FILE START AUTHORITY.

local requests, position = {}, 0

function init(args)
   for token in io.lines(args[1]) do
      local headers = { Host = args[3], Authorization = "Bearer " .. token }
      requests[#requests + 1] = wrk.format("GET", nil, headers)
   end
   position = tonumber(args[2]) % #requests
end

function request()
   position = position % #requests + 1
   return requests[position]
end

function done(summary, latency)
   local e = summary.errors
   io.write(string.format(
      'bench {"requests": %d, "microseconds": %d, "non_2xx": %d, "socket_errors": %d}\n',
      summary.requests, summary.duration, e.status, e.connect + e.read + e.write + e.timeout))
end
