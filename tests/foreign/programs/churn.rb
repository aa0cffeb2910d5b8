# A Ruby program: hashes, strings, symbols, fibers, threads, fork, compaction of the heap.
require "digest"
require "json"

amount = Integer(ARGV[0] || 20_000)
GC.stress = true if ENV["STRESS"]
state = 7
draw = ->(n) { (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) % n }

places = Hash.new { |h, k| h[k] = [] }
amount.times { |i| places[Array.new(1 + i % 4) { (97 + draw[26]).chr }.join] << i }
ranked = places.sort_by { |w, p| [-p.size, w] }
puts "#{ranked.size} words, first #{ranked.first(8).map { |w, p| "#{w}=#{p.size}" }.join(" ")}"
text = ranked.map { |w, p| "#{w}:#{p.sum}" }.join(",")
puts text.size, Digest::SHA1.hexdigest(text.gsub(/(\w+):(\d+)/) { "#{$2.reverse}#{$1.upcase}" })

threads = 4.times.map { |t| Thread.new { (0...amount / 10).map { |i| "thread #{t} #{i}" * (i % 7) }.sum(&:size) } }
puts threads.map(&:value).inspect
fibers = (1..200).map { |n| Fiber.new { |x| loop { x = Fiber.yield(x * n) } } }
puts fibers.sum { |f| f.resume(3) }
GC.start
GC.compact if GC.respond_to?(:compact) && !ENV["STRESS"]
symbols = (0...amount / 4).map { |i| "symbol_#{i}".to_sym }
puts symbols.uniq.size
puts JSON.parse(JSON.generate(places)).size == places.size
10.times do |n|
  reader, writer = IO.pipe
  pid = fork { reader.close; writer << Digest::SHA1.hexdigest("#{text}#{n}"); writer.close; exit!(n) }
  writer.close
  said = reader.read
  Process.wait(pid)
  puts "child #{n}: #{said} #{$?.exitstatus}"
end
puts (2**3000 * 3**2000 % 10**50), [1.5r, 2i, nil, :a].inspect
begin
  raise ArgumentError, "as asked " * 3
rescue => e
  puts e.message
end
