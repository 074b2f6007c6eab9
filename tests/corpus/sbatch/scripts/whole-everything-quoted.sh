#!/bin/bash
#SBATCH "--job-name=quoted everywhere"
#SBATCH '--output=logs/%x.out'
#SBATCH --comment='a "quoted" word'
#SBATCH --export="ALL,GREETING=hello world"
./run
