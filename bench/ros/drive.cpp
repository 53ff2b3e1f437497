// ROS's C++ synchroniser over one trace: arguments, trace and output as in drive.py.

#include <cstdint>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <boost/bind/bind.hpp>
#include <boost/make_shared.hpp>
#include <message_filters/simple_filter.h>
#include <message_filters/sync_policies/approximate_time.h>
#include <message_filters/synchronizer.h>
#include <ros/time.h>

struct Message {
  std::int64_t seq;
  ros::Time stamp;
};

namespace ros::message_traits {
template <>
struct TimeStamp<Message> {
  static ros::Time value(const Message& message) { return message.stamp; }
};
}  // namespace ros::message_traits

struct Stream : message_filters::SimpleFilter<Message> {
  void feed(const boost::shared_ptr<const Message>& message) { signalMessage(message); }
};

using MessagePtr = boost::shared_ptr<const Message>;

struct Pairs {
  std::vector<std::pair<std::int64_t, std::int64_t>> seqs;
  void add(const MessagePtr& radar, const MessagePtr& camera) {
    seqs.emplace_back(radar->seq, camera->seq);
  }
};

int main(int count, char** arguments) {
  if (count != 5) {
    std::fprintf(stderr, "usage: %s TRACE PAIRS QUEUE SLOP_NS\n", arguments[0]);
    return 2;
  }
  using Policy = message_filters::sync_policies::ApproximateTime<Message, Message>;
  ros::Time::init();
  Stream radar, camera;
  message_filters::Synchronizer<Policy> both(Policy(std::stoi(arguments[3])), radar, camera);
  both.setMaxIntervalDuration(ros::Duration().fromNSec(std::stoll(arguments[4])));
  Pairs found;
  both.registerCallback(
      boost::bind(&Pairs::add, &found, boost::placeholders::_1, boost::placeholders::_2));

  std::vector<std::pair<Stream*, MessagePtr>> frames;
  std::ifstream trace(arguments[1]);
  if (!trace) {
    std::fprintf(stderr, "cannot read %s\n", arguments[1]);
    return 2;
  }
  std::string stream;
  std::int64_t seq, stamp_ns;
  while (trace >> stream >> seq >> stamp_ns) {
    const ros::Time stamp = ros::Time().fromNSec(stamp_ns);
    frames.emplace_back(stream == "radar" ? &radar : &camera,
                        boost::make_shared<const Message>(Message{seq, stamp}));
  }
  const std::clock_t start = std::clock();
  for (const auto& [to, message] : frames) to->feed(message);
  const std::clock_t taken = std::clock() - start;
  std::printf("%.6f\n", static_cast<double>(taken) / CLOCKS_PER_SEC);

  std::ofstream pairs(arguments[2]);
  for (const auto& [a, b] : found.seqs) pairs << a << ' ' << b << '\n';
  return 0;
}
